"""``rescore``: lists in, rescored lists and honest figures out."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from toy_language import Command, Finished, Toy

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.rescoring.features.shards import read_shard
from asr_lm.rescoring.weights import Weights
from pipelines.display import Terminal


def first_texts(path: str | Path) -> list[str]:
    return [utterance.hypotheses[0].text for utterance in read_nbest(path)]


def succeeded(finished: Finished) -> Finished:
    assert finished.code == 0, finished.err
    assert "Traceback" not in finished.err
    return finished


def as_mlm_scoring(path: Path, utterances: Sequence[Utterance]) -> list[object]:
    entries = {
        utterance.id: {
            "ref": utterance.reference,
            **{
                f"hyp_{rank}": {"score": hypothesis.scores["acoustic"], "text": hypothesis.text}
                for rank, hypothesis in enumerate(utterance.hypotheses, 1)
            },
        }
        for utterance in utterances
    }
    (path / "list.json").write_text(json.dumps(entries))
    return ["--nbest", path / "list.json"]


def as_hyporadise(path: Path, utterances: Sequence[Utterance]) -> list[object]:
    entries = [
        {
            "input": [hypothesis.text for hypothesis in utterance.hypotheses],
            "output": utterance.reference,
            "am_score": [hypothesis.scores["acoustic"] for hypothesis in utterance.hypotheses],
        }
        for utterance in utterances
    ]
    (path / "list.json").write_text(json.dumps(entries))
    return ["--nbest", path / "list.json"]


def as_nemo(path: Path, utterances: Sequence[Utterance]) -> list[object]:
    beams = [f"{h.text}\t{h.scores['acoustic']}\n" for utterance in utterances for h in utterance.hypotheses[:3]]
    manifest = [{"audio_filepath": f"{utterance.id}.wav", "text": utterance.reference} for utterance in utterances]
    (path / "list.tsv").write_text("".join(beams))
    (path / "manifest.json").write_text("".join(json.dumps(entry) + "\n" for entry in manifest))
    return ["--nbest", path / "list.tsv", "--manifest", path / "manifest.json"]


def as_kaldi(path: Path, utterances: Sequence[Utterance]) -> list[object]:
    keyed = [
        (f"{utterance.id}-{rank}", hypothesis)
        for utterance in utterances
        for rank, hypothesis in enumerate(utterance.hypotheses, 1)
    ]
    folder = path / "list"
    folder.mkdir()
    (folder / "words_text").write_text("".join(f"{key} {hypothesis.text}\n" for key, hypothesis in keyed))
    (folder / "ac_cost").write_text("".join(f"{key} {-hypothesis.scores['acoustic']}\n" for key, hypothesis in keyed))
    (folder / "ref").write_text("".join(f"{utterance.id} {utterance.reference}\n" for utterance in utterances))
    return ["--nbest", folder, "--acoustic-scale", "1"]


def as_switchboard(path: Path, utterances: Sequence[Utterance]) -> list[object]:
    folder = path / "list"
    folder.mkdir()
    for number, utterance in enumerate(utterances):
        words = len((utterance.reference or "").split())
        lines = [f"{words}\t{utterance.reference}"]
        lines += [
            f"0.0\t{hypothesis.scores['acoustic'] / math.log(2.0)!r}\t{len(hypothesis.text.split())}\t{hypothesis.text}"
            for hypothesis in utterance.hypotheses
        ]
        (folder / f"{number:03d}").write_text("".join(f"{line}\n" for line in lines))
    return ["--nbest", folder]


class TestInput:
    """Every format, from every place."""

    @pytest.mark.parametrize("name", ["list.json", "list.jsonl", "list.json.gz", "list.jsonl.zst"])
    def test_canonical_lists_however_packed(self, command: Command, toy: Toy, ngram: Path, name: str) -> None:
        write_nbest(name, toy.utterances("test"))
        finished = succeeded(command("rescore", "--nbest", name, "--lm", ngram))
        assert finished.written == {"list.rescored.json"}
        command("rescore", "--nbest", toy.test, "--lm", ngram)
        assert Path("list.rescored.json").read_bytes() == Path("test.rescored.json").read_bytes()

    @pytest.mark.parametrize("write", [as_mlm_scoring, as_hyporadise, as_nemo, as_kaldi, as_switchboard])
    def test_foreign_lists_give_what_canonical_ones_give(
        self, command: Command, toy: Toy, ngram: Path, tmp_path: Path, write: object
    ) -> None:
        assert callable(write)
        utterances = [Utterance(u.id, u.hypotheses[:3], u.reference) for u in toy.utterances("test")]
        write_nbest("same.json", utterances)
        finished = succeeded(command("rescore", *write(tmp_path, utterances), "--lm", ngram, "--json", "foreign"))
        assert "list.rescored.json" in finished.written
        succeeded(command("rescore", "--nbest", "same.json", "--lm", ngram, "--json", "canonical"))
        assert first_texts("list.rescored.json") == first_texts("same.rescored.json")
        foreign, canonical = (json.loads(Path(name).read_text()) for name in ("foreign", "canonical"))
        assert foreign["rescored"] == canonical["rescored"]

    def test_beams_can_be_tuned_on_beams(self, command: Command, toy: Toy, ngram: Path, tmp_path: Path) -> None:
        for name in ("dev", "test"):
            (tmp_path / name).mkdir()
            as_nemo(tmp_path / name, toy.utterances(name))
        lists = ["--nbest", "test/list.tsv", "--manifest", "test/manifest.json"]
        lists += ["--dev", "dev/list.tsv", "--dev-manifest", "dev/manifest.json"]
        finished = succeeded(command("rescore", *lists, "--lm", ngram))
        assert "re-tuned first pass" in finished.out

    def test_standard_input_goes_to_standard_output(self, command: Command, toy: Toy, ngram: Path) -> None:
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "file.jsonl"))
        finished = succeeded(command("rescore", "--nbest", "-", "--lm", ngram, stdin=toy.test.read_bytes()))
        assert finished.raw == Path("file.jsonl").read_bytes()
        assert "first pass" in finished.err
        assert not finished.written

    def test_several_lists_go_to_a_folder(self, command: Command, toy: Toy, ngram: Path) -> None:
        Path("results").mkdir()
        both = ["--nbest", toy.test, "--nbest", toy.dev]
        finished = succeeded(command("rescore", *both, "--lm", ngram, "--out", "results", "--json", "r.json"))
        assert finished.written == {"results/test.rescored.json", "results/dev.rescored.json", "r.json"}
        assert set(json.loads(Path("r.json").read_text())["lists"]) == {str(toy.test), str(toy.dev)}

    def test_one_list_goes_to_a_folder_too(self, command: Command, toy: Toy, ngram: Path) -> None:
        Path("results").mkdir()
        finished = succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "results"))
        assert finished.written == {"results/test.rescored.json"}


class TestOutput:
    """What is written."""

    def test_suffixes_name_the_format(self, command: Command, toy: Toy, ngram: Path) -> None:
        for name in ("a.json", "a.jsonl", "a.json.gz", "a.jsonl.zst", "a.trn", "a.trn.gz", "a.ref.trn"):
            finished = succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", name))
            assert finished.written == {name}
        canonical = list(read_nbest("a.json"))
        for name in ("a.jsonl", "a.json.gz", "a.jsonl.zst"):
            assert list(read_nbest(name)) == canonical
        trn = [f"{utterance.hypotheses[0].text} ({utterance.id})" for utterance in canonical]
        assert Path("a.trn").read_text().splitlines() == trn
        assert gzip.decompress(Path("a.trn.gz").read_bytes()) == Path("a.trn").read_bytes()
        references = [f"{utterance.reference} ({utterance.id})" for utterance in canonical]
        assert Path("a.ref.trn").read_text().splitlines() == references

    def test_word_times_become_ctm(self, command: Command, ngram: Path) -> None:
        timed = Hypothesis("the cat", {"acoustic": -1.0}, times=((0.0, 0.25), (0.25, 1.0)))
        write_nbest("timed.json", [Utterance("u", (timed,))])
        succeeded(command("rescore", "--nbest", "timed.json", "--lm", ngram, "--out", "timed.ctm"))
        assert Path("timed.ctm").read_text() == "u 1 0.000 0.250 the\nu 1 0.250 0.750 cat\n"

    def test_hypotheses_are_reordered_and_nothing_is_lost(self, command: Command, toy: Toy, ngram: Path) -> None:
        succeeded(command("rescore", "--nbest", toy.test, "--lm", f"lm={ngram}"))
        old, new = toy.utterances("test"), list(read_nbest("test.rescored.json"))
        assert [u.id for u in new] == [u.id for u in old]
        for before, after in zip(old, new, strict=True):
            assert (after.reference, after.recording) == (before.reference, before.recording)
            assert {h.text: h.scores["acoustic"] for h in after.hypotheses} == {
                h.text: h.scores["acoustic"] for h in before.hypotheses
            }
            assert all(set(h.scores) == {"acoustic", "lm"} for h in after.hypotheses)
            totals = [h.total for h in after.hypotheses]
            assert totals == sorted(totals, key=lambda total: -(total or 0.0))
        assert [u.hypotheses for u in new] != [u.hypotheses for u in old]

    def test_a_rescored_list_can_be_rescored(self, command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "once.json"))
        succeeded(command("rescore", "--nbest", "once.json", "--lm", lstm, "--out", "twice.json"))
        assert all(
            set(h.scores) == {"acoustic", "ngram", "lstm"} for u in read_nbest("twice.json") for h in u.hypotheses
        )

    def test_json_has_the_figures_that_are_printed(self, command: Command, toy: Toy, ngram: Path) -> None:
        arguments = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", ngram, "--json", "r.json")
        finished = succeeded(command(*arguments))
        record = json.loads(Path("r.json").read_text())
        for name, title in (
            ("first_pass", "first pass"),
            ("retuned", "re-tuned first pass"),
            ("rescored", "rescored"),
            ("oracle", "oracle"),
            ("compositional_oracle", "compositional oracle"),
        ):
            wer = record[name]["wer"]
            assert 0 <= wer <= 100
            low, high = record[name]["interval"]
            assert low <= wer <= high
            assert any(line.startswith(f"{title} ") and f" {wer:.2f} " in line for line in finished.out.splitlines()), (
                title
            )
        difference = record["rescored"]["difference"]
        assert difference["against"] == "retuned"
        assert difference["wer"] == pytest.approx(record["rescored"]["wer"] - record["retuned"]["wer"])
        assert difference["interval"][0] <= difference["wer"] <= difference["interval"][1]
        assert 0 <= difference["p_value"] <= 1
        gap = record["first_pass"]["wer"] - record["oracle"]["wer"]
        assert record["gap_closed"] == pytest.approx((record["first_pass"]["wer"] - record["rescored"]["wer"]) / gap)
        assert set(record["weights"]) == {"acoustic", "words", "characters", "ngram", "unknown:ngram"}
        assert record["tuned_on"] == str(toy.dev)
        assert record["overlaps"] == {"training text of ngram": 0.0, "development list": 0.0}
        assert "without_overlaps" not in record
        assert record["utterances"] == record["with_reference"] == 40

    def test_without_references_it_says_so(self, command: Command, toy: Toy, ngram: Path) -> None:
        silent = [Utterance(u.id, u.hypotheses) for u in toy.utterances("test")]
        write_nbest("silent.json", silent)
        finished = succeeded(command("rescore", "--nbest", "silent.json", "--lm", ngram, "--json", "r.json"))
        assert "no reference was given" in finished.out
        assert "WER" not in finished.out
        assert len(first_texts("silent.rescored.json")) == 40
        record = json.loads(Path("r.json").read_text())
        assert record["utterances"] == 40
        assert "rescored" not in record

    def test_references_missing_for_some_are_counted(self, command: Command, toy: Toy, ngram: Path) -> None:
        some = [
            Utterance(u.id, u.hypotheses, u.reference if n % 4 else None) for n, u in enumerate(toy.utterances("test"))
        ]
        write_nbest("some.json", some)
        finished = succeeded(command("rescore", "--nbest", "some.json", "--lm", ngram))
        assert "the 30 of 40 utterances" in finished.out


class TestWeights:
    """Tuned here, tuned before, or packaged."""

    def test_tuning_lowers_the_error_rate_below_the_retuned_first_pass(
        self, command: Command, toy: Toy, ngram: Path, lstm: Path
    ) -> None:
        models = ("--lm", ngram, "--lm", lstm)
        succeeded(command("rescore", "--nbest", toy.test, "--dev", toy.dev, *models, "--json", "r.json"))
        record = json.loads(Path("r.json").read_text())
        assert record["oracle"]["wer"] <= record["rescored"]["wer"] < record["retuned"]["wer"]
        assert record["rescored"]["wer"] < record["first_pass"]["wer"]

    @pytest.mark.parametrize("decision", [None, "mbr"])
    def test_saved_weights_give_the_same_list(
        self, command: Command, toy: Toy, ngram: Path, decision: str | None
    ) -> None:
        how = ("--decision", decision) if decision else ()
        tuning = ("--dev", toy.dev, "--save-weights", "w.json", *how)
        finished = succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *tuning, "--out", "here.json"))
        assert finished.written == {"w.json", "here.json"}
        weights = Weights.load("w.json")
        assert weights.decision == (decision or "best")
        assert set(weights.fingerprints) == {"ngram", "development list"}
        later = ("--weights", "w.json", "--out", "later.json", "--json", "r.json")
        finished = succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *later))
        assert Path("later.json").read_bytes() == Path("here.json").read_bytes()
        assert json.loads(Path("r.json").read_text())["tuned_on"] == "w.json"
        assert "re-tuned" not in finished.out

    def test_the_feature_table_is_there_for_other_tools(self, command: Command, toy: Toy, ngram: Path) -> None:
        how = ("--dev", toy.dev, "--features", "table", "--out", "o.json")
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *how))
        table = read_shard(Path("table"), 0)
        given = toy.utterances("test")
        assert table.utterances == tuple(utterance.id for utterance in given)
        assert table.texts == tuple(h.text for utterance in given for h in utterance.hypotheses)
        scored = {(u.id, h.text): h.scores["ngram"] for u in read_nbest("o.json") for h in u.hypotheses}
        owners = [table.utterances[number] for number in table.lists.list_of_row]
        assert table.column("ngram").tolist() == [scored[key] for key in zip(owners, table.texts, strict=True)]
        again = command("rescore", "--nbest", toy.test, "--lm", ngram, "--features", "table", "--out", "p.json")
        assert "expected a folder that is new or empty" in again.complaint

    def test_weights_are_not_reported_on_the_list_they_were_tuned_on(
        self, command: Command, toy: Toy, ngram: Path
    ) -> None:
        tuning = ("--dev", toy.dev, "--save-weights", "w.json", "--out", "o.json")
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *tuning))
        renamed = Path("renamed.json")
        renamed.write_bytes(toy.dev.read_bytes())
        for arguments in (("--weights", "w.json"), ("--dev", toy.dev)):
            finished = command("rescore", "--nbest", renamed, "--lm", ngram, *arguments)
            assert "renamed.json" in finished.complaint
            assert "never reported on the list they were tuned on" in finished.complaint

    def test_lists_that_number_their_utterances_are_not_taken_for_one(
        self, command: Command, toy: Toy, ngram: Path, tmp_path: Path
    ) -> None:
        for name in ("dev", "test"):
            (tmp_path / name).mkdir()
            as_hyporadise(tmp_path / name, toy.utterances(name))
        finished = succeeded(command("rescore", "--nbest", "test/list.json", "--dev", "dev/list.json", "--lm", ngram))
        assert "warning" not in finished.err

    def test_weights_of_another_model_are_noticed(self, command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
        tuning = ("--dev", toy.dev, "--save-weights", "w.json", "--out", "o.json")
        succeeded(command("rescore", "--nbest", toy.test, "--lm", f"lm={ngram}", *tuning))
        finished = succeeded(command("rescore", "--nbest", toy.test, "--lm", f"lm={lstm}", "--weights", "w.json"))
        assert "warning: the weights were tuned with another model called lm" in finished.err

    def test_a_decision_can_be_asked_of_saved_weights(self, command: Command, toy: Toy, ngram: Path) -> None:
        tuning = ("--dev", toy.dev, "--save-weights", "w.json", "--decision", "mbr", "--out", "o.json")
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *tuning))
        # Where nothing is certain, the hypothesis in the middle of the list wins.
        Weights.load("w.json").replaced(scale=1e-3).save("w.json")
        for decision in ((), ("--decision", "best"), ("--decision", "mbr")):
            out = f"{decision[1] if decision else 'saved'}.json"
            arguments = ("--weights", "w.json", *decision, "--out", out)
            succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *arguments))
        for utterance in read_nbest("best.json"):
            totals = [hypothesis.total or -math.inf for hypothesis in utterance.hypotheses]
            assert totals[0] == max(totals)
        assert Path("saved.json").read_bytes() == Path("mbr.json").read_bytes() != Path("best.json").read_bytes()

    def test_a_model_can_be_subtracted(self, command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
        models = ("--lm", ngram, "--lm", lstm, "--subtract", "lstm")
        succeeded(command("rescore", "--nbest", toy.test, "--dev", toy.dev, *models, "--json", "r.json", "--force"))
        assert json.loads(Path("r.json").read_text())["weights"]["lstm"] <= 0

    def test_a_bare_call_uses_the_packaged_model_and_weights_and_says_so(self, command: Command, toy: Toy) -> None:
        finished = succeeded(command("rescore", "--nbest", toy.test, "--json", "r.json"))
        assert "using the packaged general-English model" in finished.err
        assert "packaged default weights for 'sum' scores (recognised)" in finished.out
        record = json.loads(Path("r.json").read_text())
        assert record["tuned_on"] == "default weights (sum)"
        assert record["rescored"]["wer"] <= record["first_pass"]["wer"]

    def test_the_kind_of_score_can_be_given(self, command: Command, toy: Toy) -> None:
        finished = succeeded(command("rescore", "--nbest", toy.test, "--score-kind", "rank"))
        assert "packaged default weights for 'rank' scores (given)" in finished.out

    def test_development_lists_add_up(self, command: Command, toy: Toy, ngram: Path) -> None:
        utterances = toy.utterances("dev")
        write_nbest("one.json", utterances[:15])
        write_nbest("two.json", utterances[15:])
        halves = ("--dev", "one.json", "--dev", "two.json")
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, *halves, "--out", "halves.json"))
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--dev", toy.dev, "--out", "whole.json"))
        assert Path("halves.json").read_bytes() == Path("whole.json").read_bytes()


class TestHonesty:
    """Overlaps of training text, development and test list."""

    @pytest.fixture
    def seen(self, toy: Toy) -> str:
        """The test list, five of whose references are in the training text."""
        utterances = toy.utterances("test")
        for number in range(5):
            old = utterances[number]
            utterances[number] = Utterance(old.id, old.hypotheses, toy.sentences[number])
        write_nbest("seen.json", utterances)
        return "seen.json"

    def test_references_in_the_training_text_are_reported_and_left_out(
        self, command: Command, toy: Toy, ngram: Path, seen: str
    ) -> None:
        finished = succeeded(command("rescore", "--nbest", seen, "--lm", ngram, "--json", "r.json"))
        assert "12.5 % of the references are in the training text of ngram" in finished.out
        assert "warning: 12.5 % of the references are in the training text of ngram" in finished.err
        assert "without overlapping utterances (35 left)" in finished.out
        record = json.loads(Path("r.json").read_text())
        assert record["overlaps"]["training text of ngram"] == 12.5
        assert record["without_overlaps"]["utterances"] == 35

    def test_a_development_list_that_was_trained_on_is_a_warning(
        self, command: Command, toy: Toy, ngram: Path, seen: str
    ) -> None:
        finished = succeeded(command("rescore", "--nbest", toy.dev, "--dev", seen, "--lm", ngram))
        assert "12.5 % of the development references are in the training text of ngram" in finished.out
        assert "train it with --jackknife" in finished.err

    def test_jackknife_models_make_it_honest(self, command: Command, toy: Toy, seen: str, tmp_path: Path) -> None:
        folder = tmp_path / "domain"
        training = ("--text", toy.train, "--out", folder, "--order", 2, "--jackknife", 2)
        succeeded(command("train", "ngram", *training))
        finished = succeeded(command("rescore", "--nbest", toy.dev, "--dev", seen, "--lm", folder))
        assert "--jackknife" not in finished.err
        assert "12.5 % of the development references are in the training text of domain" in finished.out


class TestCache:
    """Scores are kept."""

    def test_a_second_run_computes_nothing(
        self, command: Command, toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "one.json"))
        assert any(Path("cache").iterdir())
        monkeypatch.setattr("asr_lm.rescoring.scoring.scorer.score_texts", None)
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "two.json"))
        assert Path("one.json").read_bytes() == Path("two.json").read_bytes()

    def test_it_can_be_put_elsewhere_or_left_out(self, command: Command, toy: Toy, ngram: Path) -> None:
        succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--no-cache"))
        assert not Path("cache").exists()
        finished = succeeded(command("rescore", "--nbest", toy.test, "--lm", ngram, "--cache-folder", "kept"))
        assert not Path("cache").exists()
        assert any(name.startswith("kept/") for name in finished.written)

    def test_the_budget_changes_nothing(self, command: Command, toy: Toy, lstm: Path) -> None:
        for budget in (None, 7):
            how = ("--budget", budget, "--no-cache") if budget else ("--no-cache",)
            succeeded(command("rescore", "--nbest", toy.test, "--lm", lstm, *how, "--out", f"{budget}.json"))
        for one, other in zip(read_nbest("None.json"), read_nbest("7.json"), strict=True):
            scores = [{h.text: h.scores["lstm"] for h in utterance.hypotheses} for utterance in (one, other)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_how_many_words_tell_histories_apart_is_found_said_and_remembered(
    command: Command, toy: Toy, lstm: Path
) -> None:
    options = ("--lm", f"lm={lstm}", "--recombine", "auto")
    tuned = succeeded(command("rescore", "--nbest", toy.test, "--dev", toy.dev, *options, "--save-weights", "w.json"))
    said = [line for line in tuned.out.splitlines() if line.startswith("histories ")]
    words = Weights.load("w.json").recombined
    assert len(said) == 1
    assert f"the same {words} words are read once" in said[0] or words == 0
    assert "against exact scores WER there moves by" in said[0]
    again = succeeded(command("rescore", "--nbest", toy.test, "--weights", "w.json", *options))
    assert "another model" not in again.err
    assert (f"histories that end in the same {words} words are read once" in again.out) == (words > 0)


@pytest.mark.parametrize("name", ["rescore", "compare"])
def test_the_total_is_known_where_a_model_is_slow(
    command: Command, toy: Toy, lstm: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(Terminal, "expect", lambda self, hypotheses: heard.append(hypotheses))
    reported = "--nbest" if name == "rescore" else "--test"
    given = (name, reported, toy.test, "--dev", toy.dev, "--lm", lstm)
    succeeded(command(*given))
    counts = [sum(len(utterance.hypotheses) for utterance in read_nbest(path)) for path in (toy.dev, toy.test)]
    assert heard == counts[:1]
    monkeypatch.setattr(NeuralLanguageModel, "shard_hypotheses", 50)
    succeeded(command(*given, "--no-cache"))
    assert heard[1:] == counts


def test_a_new_folder_is_made_for_the_lists(command: Command, toy: Toy, ngram: Path) -> None:
    lists = ("--nbest", toy.test, "--nbest", toy.dev)
    finished = command("rescore", *lists, "--lm", ngram, "--out", "new/folder/")
    assert finished.code == 0, finished.err
    assert {path.name for path in Path("new/folder").iterdir()} == {"test.rescored.json", "dev.rescored.json"}
    wrong = command("rescore", "--nbest", toy.test, "--lm", ngram, "--out", "other/", "--json", "none/r.json")
    assert "there is no folder none" in wrong.complaint
    assert not Path("other").exists()
    missing = command("rescore", "--nbest", toy.test, "--lm", "no-model", "--out", "other/deep/")
    assert "no such model" in missing.complaint
    assert not Path("other").exists()
    Path("broken.jsonl").write_text("{}\n")
    broken = command("rescore", "--nbest", "broken.jsonl", "--lm", ngram, "--out", "other/deep/")
    assert broken.code == 2
    assert not Path("other").exists()
