"""Each foreign format gives the utterances that its files mean, and names what is wrong with them."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance


def refusal(path: Path, format: str | None = None, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        list(read_nbest(path, format, **options))  # type: ignore[arg-type]
    return caught.value


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


class TestMlmScoring:
    """The dictionary of mlm-scoring."""

    def test_hypotheses_are_ranked_by_their_numbers(self, tmp_path: Path) -> None:
        entry = {f"hyp_{n}": {"score": -float(n), "text": f" text {n}"} for n in (1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)}
        path = written(tmp_path / "list.json", {"u1": entry | {"ref": "text"}, "u2": {"hyp_1": entry["hyp_1"]}})
        first, second = read_nbest(path)
        assert [hypothesis.text for hypothesis in first.hypotheses] == [f" text {n}" for n in range(1, 12)]
        assert first.hypotheses[10].scores == {"score": -11.0}
        assert (first.reference, second.reference) == ("text", None)

    @pytest.mark.parametrize(
        ("entry", "field", "message"),
        [
            ({}, "hypotheses", "no hypotheses"),
            ({"ref": "x"}, "hypotheses", "no hypotheses"),
            ([], None, "got an array"),
            ({"hyp1": {"score": 1, "text": ""}}, None, "unknown key 'hyp1'"),
            ({"hyp_1": {"score": 1, "text": ""}, "hyp_01": {"score": 1, "text": ""}}, "hyp_01", "number 1"),
            ({"hyp_1": "x"}, "hyp_1", "got a string"),
            ({"hyp_1": {"score": 1}}, "hyp_1.text", "missing"),
            ({"hyp_1": {"text": ""}}, "hyp_1.score", "missing"),
            ({"hyp_1": {"score": None, "text": ""}}, "hyp_1.score", "got null"),
            ({"hyp_1": {"score": True, "text": ""}}, "hyp_1.score", "got true or false"),
            ({"hyp_1": {"score": math.nan, "text": ""}}, "hyp_1.score", "not a finite number"),
            ({"hyp_1": {"score": 10**400, "text": ""}}, "hyp_1.score", "not a finite number"),
            ({"hyp_1": {"score": 1, "text": 5}}, "hyp_1.text", "got a number"),
            ({"hyp_1": {"score": 1, "text": "\ud800"}}, "hyp_1.text", "surrogate"),
            ({"hyp_1": {"score": 1, "text": ""}, "ref": 5}, "ref", "got a number"),
        ],
    )
    def test_a_fault_is_named(self, tmp_path: Path, entry: object, field: str | None, message: str) -> None:
        path = written(tmp_path / "list.json", {"u0": {"hyp_1": {"score": 0, "text": "x"}}, "u1": entry})
        error = refusal(path)
        assert (error.utterance, error.field) == ("u1", field)
        assert message in error.message

    def test_keys_given_twice_do_not_hide_each_other(self, tmp_path: Path) -> None:
        hypothesis = '{"score": 1, "text": "x"}'
        twice = '{"u": {"hyp_1": %s}, "u": {"hyp_1": %s}}'
        error = refusal(written(tmp_path / "list.json", twice % (hypothesis, hypothesis)))
        assert "'u' is given twice" in error.message

    def test_the_empty_dictionary_is_an_empty_list(self, tmp_path: Path) -> None:
        assert "empty list" in refusal(written(tmp_path / "list.json", {})).message
        assert "expected one object" in refusal(written(tmp_path / "list.json", [1]), "mlm-scoring").message


class TestHyporadise:
    """Lists of input, output and scores."""

    @pytest.mark.parametrize("name", ["score", "am_score"])
    def test_the_name_of_the_score_is_kept(self, tmp_path: Path, name: str) -> None:
        entry = {"id": "u", "input": ["a b", ""], "output": "a", name: [-0.1, -0.5], "input1": "a b."}
        expected = Utterance("u", (Hypothesis("a b", {name: -0.1}), Hypothesis("", {name: -0.5})), "a")
        assert list(read_nbest(written(tmp_path / "list.json", [entry]))) == [expected]
        assert list(read_nbest(written(tmp_path / "list.jsonl", entry))) == [expected]

    def test_without_scores_and_ids(self, tmp_path: Path) -> None:
        path = written(tmp_path / "list.json", [{"input": ["a"], "output": "a"}, {"input": ["b"]}])
        assert list(read_nbest(path)) == [
            Utterance("utt-000001", (Hypothesis("a"),), "a"),
            Utterance("utt-000002", (Hypothesis("b"),), None),
        ]

    @pytest.mark.parametrize(
        ("entry", "field", "message"),
        [
            ({"id": "v", "input": ["a", "b"], "score": [1.0]}, "[1].score", "1 score for 2 hypotheses"),
            ({"id": "v", "input": "a"}, "[1].input", "expected `array`"),
            ({"id": "v", "input": ["a", 2], "score": [1, 2]}, "[1].input[1]", "expected `str`"),
            ({"id": "v", "input": ["a"], "score": ["1"]}, "[1].score[0]", "expected `float`"),
            ({"id": "v", "input": ["a"], "score": [1], "output": 3}, "[1].output", "expected `str | null`"),
            ({"id": "v", "input": [], "score": []}, "[1].hypotheses", "no hypotheses"),
            ({"id": "v", "input": ["a"]}, "[1].hypotheses[0].scores", "same names"),
            ({"input": ["a"], "score": [1]}, "[1].id", "some have none"),
            ({"id": "v", "score": [1]}, "[1].input", "missing"),
        ],
    )
    def test_a_fault_is_named(self, tmp_path: Path, entry: object, field: str, message: str) -> None:
        path = written(tmp_path / "list.json", [{"id": "u", "input": ["a"], "output": "a", "score": [-1]}, entry])
        error = refusal(path)
        assert error.field == field
        assert message in error.message

    def test_a_score_that_is_not_finite_is_named(self, tmp_path: Path) -> None:
        path = written(tmp_path / "list.json", [{"id": "u", "input": ["a", "b"], "score": [1, math.inf]}])
        error = refusal(path)
        assert (error.utterance, error.field) == ("u", "[0].score[1]")


class TestNemo:
    """Beams beside a manifest."""

    @pytest.fixture
    def manifest(self, tmp_path: Path) -> Path:
        lines = [
            {"audio_filepath": "a.wav", "duration": 1.5, "text": "one"},
            {"audio_filepath": "b.wav", "offset": 2.5, "duration": 1.5},
        ]
        return written(tmp_path / "manifest.json", "".join(json.dumps(line) + "\n" for line in lines))

    def test_lines_go_to_the_utterances_of_the_manifest(self, tmp_path: Path, manifest: Path) -> None:
        path = written(tmp_path / "beams.tsv", "one\t-1.5\n\t-2e1\nnan\t-1\nnull\t.5\n")
        expected = [
            Utterance("a.wav", (Hypothesis("one", {"score": -1.5}), Hypothesis("", {"score": -20.0})), "one"),
            Utterance(
                "b.wav@2.5", (Hypothesis("nan", {"score": -1.0}), Hypothesis("null", {"score": 0.5})), None, "b.wav"
            ),
        ]
        assert list(read_nbest(path, manifest=manifest)) == expected
        assert list(read_nbest(path, "nemo", manifest=manifest, beam_size=2)) == expected

    def test_a_manifest_is_needed_and_goes_with_beams_only(self, tmp_path: Path, manifest: Path) -> None:
        path = written(tmp_path / "beams.tsv", "one\t-1.5\ntwo\t-1\n")
        assert "`manifest=`" in refusal(path).message
        canonical = written(tmp_path / "list.jsonl", {"id": "a", "hypotheses": [{"text": ""}]})
        assert "nemo only" in refusal(canonical, manifest=manifest).message
        assert "nemo only" in refusal(canonical, beam_size=4).message

    def test_numbers_of_lines_must_fit(self, tmp_path: Path, manifest: Path) -> None:
        path = written(tmp_path / "beams.tsv", "a\t-1\n" * 3)
        assert "3 lines do not make 2 utterances" in refusal(path, manifest=manifest).message
        path = written(tmp_path / "beams.tsv", "a\t-1\n" * 4)
        for beam_size in (0, -1, 1, 3, 4):
            assert "do not make" in refusal(path, manifest=manifest, beam_size=beam_size).message
        assert "do not make" in refusal(written(path, ""), "nemo", manifest=manifest).message
        written(path, "a\t-1\n")
        assert "empty manifest" in refusal(path, manifest=written(tmp_path / "none.json", "")).message

    @pytest.mark.parametrize("score", ["nan", "-inf", "1e999", "1_0", "", "x", "0x1p3", "١"])
    def test_a_score_must_be_a_finite_number(self, tmp_path: Path, manifest: Path, score: str) -> None:
        path = written(tmp_path / "beams.tsv", f"a\t-1\nb\t-1\nc\t{score}\nd\t-1\n")
        error = refusal(path, manifest=manifest)
        assert (error.line, error.utterance, error.field) == (3, "b.wav@2.5", "score")

    def test_a_line_needs_a_tab(self, tmp_path: Path, manifest: Path) -> None:
        error = refusal(written(tmp_path / "beams.tsv", "a\t-1\nb -1\n"), "nemo", manifest=manifest)
        assert (error.line, error.utterance) == (2, "b.wav@2.5")

    def test_a_fault_of_the_manifest_is_named(self, tmp_path: Path) -> None:
        beams = written(tmp_path / "beams.tsv", "a\t-1\n")
        manifest = written(tmp_path / "manifest.json", {"audio_filepath": 5})
        error = refusal(beams, manifest=manifest)
        assert (error.file, error.line, error.field) == (str(manifest), 1, "audio_filepath")


def test_espnet1_has_the_reference_in_every_output(tmp_path: Path) -> None:
    outputs = ", ".join(
        f'{{"name": "target1[{n}]", "text": "one two", "token": "o n e", "rec_text": "{text}<eos>", "score": -{n}.5}}'
        for n, text in enumerate(("one too", "one two"), 1)
    )
    path = written(tmp_path / "data.json", f'{{"utts": {{"u1": {{"input": [], "output": [{outputs}]}}}}}}')
    hypotheses = (Hypothesis("one too", {"score": -1.5}), Hypothesis("one two", {"score": -2.5}))
    assert list(read_nbest(path)) == [Utterance("u1", hypotheses, "one two")]


class TestKaldi:
    """Folders of text archives."""

    WORDS = "u-1-1 one two\nu-1-2 one\nv-1 \nv-2 nan\n"
    ACOUSTIC = "u-1-1 120.5\nu-1-2 121\nv-1 -3.5\nv-2 1e2\n"
    GRAPH = "u-1-1 1\nu-1-2 2\nv-1 3\nv-2 4\n"

    def folder(self, path: Path, **files: str) -> Path:
        for name, content in files.items():
            written(path / name.replace("__", "."), content)
        return path

    def test_costs_turn_into_scores(self, tmp_path: Path) -> None:
        folder = self.folder(
            tmp_path / "n",
            words_text=self.WORDS,
            acwt=self.ACOUSTIC,
            lmwt__nolm=self.GRAPH,
            text="u-1 one two\n",
            words=self.GRAPH,
            ali="",
        )
        first, second = read_nbest(folder)
        assert first == Utterance(
            "u-1",
            (
                Hypothesis("one two", {"acoustic": 0.1 * -120.5, "nolm": -1.0}),
                Hypothesis("one", {"acoustic": 0.1 * -121.0, "nolm": -2.0}),
            ),
            "one two",
        )
        assert [hypothesis.text for hypothesis in second.hypotheses] == ["", "nan"]
        assert second.hypotheses[0].scores == {"acoustic": 0.1 * 3.5, "nolm": -3.0}
        assert second.reference is None

    def test_names_without_the_scripts(self, tmp_path: Path) -> None:
        folder = self.folder(
            tmp_path / "n", text=self.WORDS, ac_cost=self.ACOUSTIC, lm_cost=self.GRAPH, nn_cost=self.GRAPH, ref="v x\n"
        )
        first, second = read_nbest(folder)
        assert sorted(first.hypotheses[0].scores) == ["acoustic", "lm", "nn"]
        assert (first.reference, second.reference) == (None, "x")

    def test_costs_by_word_give_way_to_their_sums(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path / "n", words_text="u-1 a b\n", lmwt__nn="u-1 1 2\n", lmwt__nn__sum="u-1 3\n")
        assert next(read_nbest(folder)).hypotheses[0].scores == {"nn": -3.0}
        (folder / "lmwt.nn.sum").unlink()
        assert "finite decimal number" in refusal(folder).message

    def test_without_scores(self, tmp_path: Path) -> None:
        assert next(read_nbest(self.folder(tmp_path / "n", text=self.WORDS))).hypotheses[0].scores == {}

    def test_hypotheses_are_ranked_by_their_numbers(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path / "n", text="u-1 a\nu-10 j\nu-2 b\n", ac_cost="u-1 1\nu-10 10\nu-2 2\n")
        (utterance,) = read_nbest(folder)
        assert [hypothesis.text for hypothesis in utterance.hypotheses] == ["a", "b", "j"]
        assert [hypothesis.scores["acoustic"] for hypothesis in utterance.hypotheses] == [-0.1, -0.2, -1.0]

    def test_jobs_make_one_list(self, tmp_path: Path) -> None:
        for job in (10, 2):
            self.folder(tmp_path / f"archives.{job}", words_text=f"u{job}-1 a\n", acwt=f"u{job}-1 {job}\n")
        written(tmp_path / "text", "u2 x\nu10 y\n")
        (tmp_path / "ali.1.gz").write_bytes(gzip.compress(b"u \0B\xff"))
        assert [(u.id, u.reference, u.hypotheses[0].scores) for u in read_nbest(tmp_path, acoustic_scale=1.0)] == [
            ("u2", "x", {"acoustic": -2.0}),
            ("u10", "y", {"acoustic": -10.0}),
        ]

    def test_packed_archives(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path / "n", words_text=self.WORDS)
        (folder / "acwt.gz").write_bytes(gzip.compress(self.ACOUSTIC.encode()))
        assert next(read_nbest(folder, acoustic_scale=0.5)).hypotheses[1].scores == {"acoustic": -60.5}
        written(folder / "acwt", self.ACOUSTIC)
        assert "expected one of them" in refusal(folder).message

    @pytest.mark.parametrize(
        ("files", "file", "line", "message"),
        [
            ({"acwt": "u-1-1 1\nu-1-2 2\nv-2 4\nv-1 3\n"}, "acwt", 3, "in their order"),
            ({"acwt": "u-1-1 1\nu-1-2 2\nv-1 3\n"}, "acwt", None, "ends before"),
            ({"acwt": GRAPH + "w-1 3\n"}, "acwt", 5, "no hypothesis for this score"),
            ({"acwt": GRAPH.replace("3", "inf")}, "acwt", 3, "finite"),
            ({"acwt": GRAPH.replace("3", "1 2")}, "acwt", 3, "finite"),
            ({"acwt": GRAPH.replace(" 3", "")}, "acwt", 3, "finite"),
            ({"acwt": GRAPH.replace("3", "\0B")}, "acwt", 3, "binary"),
            ({"acwt": GRAPH.replace("v-1 3", "")}, "acwt", 3, "empty line"),
            ({"acwt": GRAPH, "ac_cost": GRAPH}, "acwt", None, "as ac_cost does"),
            ({"num_jobs": "4"}, "num_jobs", None, "unknown file"),
            ({"words_text": "u-1-1 a\nu b\n"}, "words_text", 2, "with the rank N"),
            ({"words_text": "u-1 a\nu-1 b\n"}, "words_text", 2, "second hypothesis of number 1"),
            ({"words_text": "u-1 a\nv-1 b\nu-2 b\n"}, "words_text", 3, "used before"),
            ({"ref": "u-1 a\nu-1 b\n"}, "ref", 2, "second reference"),
            ({"ref": "w a\n"}, "n", None, "reference but no hypotheses"),
        ],
    )
    def test_a_fault_is_named(
        self, tmp_path: Path, files: dict[str, str], file: str, line: int | None, message: str
    ) -> None:
        error = refusal(self.folder(tmp_path / "n", **({"words_text": self.WORDS} | files)))
        assert message in error.message
        assert (Path(str(error.file)).name, error.line) == (file, line)

    def test_an_empty_archive_is_an_empty_list(self, tmp_path: Path) -> None:
        assert "empty list" in refusal(self.folder(tmp_path / "n", words_text="")).message
        assert "no hypotheses" in refusal(self.folder(tmp_path / "m", acwt=""), "kaldi").message
        assert "expected a folder" in refusal(written(tmp_path / "file", ""), "kaldi").message


class TestSwitchboard:
    """One file for each utterance."""

    CONTENT = "2\tone two\n0.500\t-10.0\t1\tone\n1.000\t-4\t0\t\n"

    def test_base_two_turns_into_natural_logarithms_that_rank(self, tmp_path: Path) -> None:
        for name in ("b/u2", "a/u1"):
            written(tmp_path / "lists" / name, self.CONTENT)
        first, second = read_nbest(tmp_path / "lists")
        assert (first.id, second.id) == ("a/u1", "b/u2")
        assert first.reference == "one two"
        assert [hypothesis.text for hypothesis in first.hypotheses] == ["", "one"]
        assert math.exp(first.hypotheses[0].scores["acoustic"]) == pytest.approx(2.0**-4)
        assert next(read_nbest(tmp_path / "lists/a/u1")).id == "u1"

    @pytest.mark.parametrize(
        ("content", "line", "message"),
        [
            ("", 1, "expected the number of words"),
            ("two\tone two\n", 1, "expected the number of words"),
            ("2\tone two\n", 1, "no hypotheses"),
            ("2\tone two\n0.5\t-10.0\tone\n", 2, "3 fields"),
            ("2\tone two\n0.5\tnan\t1\tone\n", 2, "finite"),
        ],
    )
    def test_a_fault_is_named(self, tmp_path: Path, content: str, line: int, message: str) -> None:
        written(tmp_path / "lists/u1", self.CONTENT)
        written(tmp_path / "lists/u2", content)
        error = refusal(tmp_path / "lists")
        assert (error.file, error.line, error.utterance) == (str(tmp_path / "lists/u2"), line, "u2")
        assert message in error.message

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        assert "is an empty folder" in refusal(tmp_path).message
        assert "empty folder" in refusal(tmp_path, "switchboard-ws97").message
