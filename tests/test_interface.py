"""``import asr_lm``: values in, values out, and the wrong uses that are refused."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import asr_lm
from asr_lm.rescoring.second_pass import Rescored
from asr_lm.rescoring.tuned import Tuned

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
LISTS = 30
"""Utterances of the sample's lists that are used here."""


@pytest.fixture(scope="module")
def dev() -> list[asr_lm.Utterance]:
    return asr_lm.read_nbest(SAMPLE / "dev.json")[:LISTS]


@pytest.fixture(scope="module")
def test_list() -> list[asr_lm.Utterance]:
    return asr_lm.read_nbest(SAMPLE / "test.json")[:LISTS]


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 3-gram of the sample's text."""
    folder = tmp_path_factory.mktemp("models") / "harbour"
    line = ("-m", "pipelines.train", "ngram", "--text", SAMPLE / "train.txt", "--out", folder, "--order", "3")
    subprocess.run([sys.executable, *map(str, line)], check=True, capture_output=True, cwd=SAMPLE.parents[1])
    return folder


@pytest.fixture(scope="module")
def models(harbour: Path) -> list[object]:
    return [asr_lm.load(harbour), asr_lm.load("default")]


@pytest.fixture(scope="module")
def tuned(dev: list[asr_lm.Utterance], models: list[object]) -> Tuned:
    return asr_lm.tune(dev, models)


class TestMainFlow:
    def test_ten_lines_lower_the_error_rate(
        self, test_list: list[asr_lm.Utterance], models: list[object], tuned: Tuned
    ) -> None:
        result = asr_lm.rescore(test_list, models, tuned)
        comparison = result.comparison()
        assert comparison["harbour + default"].counts.errors < comparison["first_pass"].counts.errors
        assert [utterance.id for utterance in result.utterances] == [utterance.id for utterance in test_list]
        assert len(result.table.utterances) == LISTS

    def test_a_list_a_generator_and_a_path_are_one(self, test_list: list[asr_lm.Utterance], tmp_path: Path) -> None:
        asr_lm.write_nbest(tmp_path / "list.json", test_list)

        def one_by_one() -> Iterator[asr_lm.Utterance]:
            yield from test_list

        found = [asr_lm.rescore(source, "default") for source in (test_list, one_by_one(), tmp_path / "list.json")]
        assert found[0].utterances == found[1].utterances == found[2].utterances

    def test_saved_weights_do_the_same(
        self, test_list: list[asr_lm.Utterance], models: list[object], tuned: Tuned, tmp_path: Path
    ) -> None:
        tuned.save(tmp_path / "weights.json")
        before = asr_lm.rescore(test_list, models, tuned)
        for saved in (tmp_path / "weights.json", asr_lm.Weights.load(tmp_path / "weights.json"), tuned.weights):
            assert asr_lm.rescore(test_list, models, saved).utterances == before.utterances

    def test_nothing_is_printed_and_nothing_written(
        self,
        dev: list[asr_lm.Utterance],
        test_list: list[asr_lm.Utterance],
        capfd: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        asr_lm.compare(dev, test_list, "default")
        assert capfd.readouterr() == ("", "")
        assert not list(tmp_path.iterdir())

    def test_every_rule_can_decide(self, dev: list[asr_lm.Utterance], test_list: list[asr_lm.Utterance]) -> None:
        tuned = asr_lm.tune(dev, "default", rules=["mbr", "rover"])
        comparison = asr_lm.rescore(test_list, "default", tuned).comparison()
        names = [result.name for result in comparison.systems]
        rows = ["first_pass", "retuned", "default", "default, minimum Bayes risk", "default, ROVER"]
        # What decides is a row once: one of these, or a further one.
        assert names == [*dict.fromkeys([*rows, tuned.systems.final]), "oracle", "compositional_oracle"]
        for name in names[3:5]:
            assert comparison[name].counts.errors < comparison["first_pass"].counts.errors


class TestWrongUses:
    """Each of these gave a wrong result, or a riddle, once."""

    def test_texts_are_no_token_ids(self, models: list[object]) -> None:
        model = models[0]
        plain, dressed = model.log_prob(["the ferry is late again", "The ferry is late again."])  # type: ignore[attr-defined]
        assert plain == dressed
        with pytest.raises(asr_lm.InputError, match="not text"):
            model.model.score_tokens(["the ferry is late again"])  # type: ignore[attr-defined]
        with pytest.raises(asr_lm.InputError, match="texts"):
            model.log_prob("the ferry is late again")  # type: ignore[attr-defined]

    def test_there_is_no_comparison_before_there_is_a_result(self, test_list: list[asr_lm.Utterance]) -> None:
        assert isinstance(asr_lm.rescore(test_list, "default"), Rescored)
        assert not hasattr(Rescored, "rescore")

    def test_a_second_list_does_not_add_up_with_the_first(
        self, dev: list[asr_lm.Utterance], test_list: list[asr_lm.Utterance]
    ) -> None:
        first, second = asr_lm.rescore(dev, "default"), asr_lm.rescore(test_list, "default")
        assert first.comparison().utterances == second.comparison().utterances == LISTS

    def test_the_tuned_list_is_refused(self, dev: list[asr_lm.Utterance], models: list[object], tuned: Tuned) -> None:
        for weights in (tuned, tuned.weights):
            with pytest.raises(asr_lm.InputError, match="never reported on the list they were tuned on"):
                asr_lm.rescore(dev, models, weights)

    def test_one_utterance_is_no_list(self, test_list: list[asr_lm.Utterance]) -> None:
        with pytest.raises(asr_lm.InputError, match=r"give \[utterance\]"):
            asr_lm.rescore(test_list[0], "default")  # type: ignore[arg-type]

    def test_a_service_says_what_its_scores_are(self) -> None:
        with pytest.raises(asr_lm.InputError, match="sum, mean or rank"):
            asr_lm.Rescorer("default")


class TestRescorer:
    """The second pass inside a program."""

    def test_it_does_what_the_list_gets(
        self, test_list: list[asr_lm.Utterance], models: list[object], tuned: Tuned
    ) -> None:
        rescorer = asr_lm.Rescorer(models, tuned.weights)
        expected = asr_lm.rescore(test_list, models, tuned).utterances
        for utterance, listed in zip(test_list, expected, strict=True):
            found = rescorer(utterance)
            assert [hypothesis.text for hypothesis in found.hypotheses] == [h.text for h in listed.hypotheses]
            assert found.reference == utterance.reference
            totals = [hypothesis.total for hypothesis in listed.hypotheses]
            assert [hypothesis.total for hypothesis in found.hypotheses] == pytest.approx(totals, abs=1e-3)

    def test_several_at_once(self, test_list: list[asr_lm.Utterance], models: list[object], tuned: Tuned) -> None:
        rescorer = asr_lm.Rescorer(models, tuned.weights)
        together = rescorer(test_list)
        alone = [rescorer(utterance) for utterance in test_list]
        assert [found.hypotheses[0].text for found in together] == [found.hypotheses[0].text for found in alone]
        assert rescorer([]) == []

    def test_eight_threads_get_what_one_gets(
        self, test_list: list[asr_lm.Utterance], models: list[object], tuned: Tuned
    ) -> None:
        rescorer, some = asr_lm.Rescorer(models, tuned.weights), test_list[::4]
        expected = [rescorer(utterance) for utterance in some]
        found: dict[int, list[asr_lm.Utterance]] = {}

        def work(number: int) -> None:
            found[number] = [rescorer(utterance) for utterance in some]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(found[number] == expected for number in range(8))


def test_everything_public_is_there_and_says_what_it_is() -> None:
    names = "read_nbest write_nbest load tune rescore Rescorer compare decode Utterance Hypothesis Weights Comparison"
    assert sorted(asr_lm.__all__) == sorted([*names.split(), "InputError"])
    for name in asr_lm.__all__:
        assert ">>> " in (getattr(asr_lm, name).__doc__ or ""), name


def test_the_import_is_quick_and_brings_nothing_along() -> None:
    code = "import sys, asr_lm; print(sorted({'torch', 'numpy', 'msgspec'} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert finished.stdout.strip() == "[]"
