"""Nothing of a list is lost without a word: scores, references, ids, the order; and what smaller-is-better means."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance

TEXTS = ("one two three", "one two", "one")


def utterances(**more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"u{n}", "reference": "one", "hypotheses": [{"text": f"{t} {n}"} for t in TEXTS]} | more
        for n in range(20)
    ]


def written(tmp_path: Path, records: list[Any]) -> Path:
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path: Path, **how: Any) -> tuple[list[Utterance], str]:
    reader = read_nbest(path, **how)
    found = list(reader)
    return found, "\n".join(reader.notices)


def with_scores(name: str, values: tuple[float, ...], inside: bool = True) -> list[dict[str, Any]]:
    records = utterances()
    for record in records:
        for hypothesis, value in zip(record["hypotheses"], values, strict=True):
            hypothesis |= {"scores": {name: value}} if inside else {name: value}
    return records


@pytest.mark.parametrize("name", ["score", "logprob", "am", "avg_logprob", "lm_score", "total_score"])
def test_a_score_beside_the_text_is_read(tmp_path: Path, name: str) -> None:
    found, said = read(written(tmp_path, with_scores(name, (-1.0, -2.0, -4.0), inside=False)))
    assert [hypothesis.scores for hypothesis in found[0].hypotheses] == [{name: -1.0}, {name: -2.0}, {name: -4.0}]
    assert f"{name}=hypotheses[].{name}" in said


@pytest.mark.parametrize("name", ["scores", "logprobs", "am_scores"])
def test_scores_in_a_list_beside_the_hypotheses_are_read(tmp_path: Path, name: str) -> None:
    found, _ = read(written(tmp_path, utterances(**{name: [-1.0, -2.0, -4.0]})))
    assert [list(hypothesis.scores.values()) for hypothesis in found[0].hypotheses] == [[-1.0], [-2.0], [-4.0]]


@pytest.mark.parametrize("name", ["ref", "ref_text", "ground_truth", "Reference", "target"])
def test_a_reference_under_another_name_is_read(tmp_path: Path, name: str) -> None:
    records = with_scores("am", (-1.0, -2.0, -4.0))
    for record in records:
        record[name] = record.pop("reference")
    assert read(written(tmp_path, records))[0][0].reference == "one"


def test_what_is_asked_for_as_canonical_and_lost_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, with_scores("score", (-1.0, -2.0, -4.0), inside=False))
    with pytest.raises(InputError, match=r'looks like a score.*"scores": {"score"') as caught:
        read(path, format="canonical")
    assert (caught.value.line, caught.value.utterance) == (1, "u0")
    for name, wanted in (("Scores", "looks like a score"), ("ref", "looks like a reference")):
        records = utterances(**{name: [-1.0, -2.0, -4.0] if name == "Scores" else "one"})
        for record in records:
            record.pop("reference")
        with pytest.raises(InputError, match=wanted):
            read(written(tmp_path, records), format="canonical")


def test_what_is_asked_for_as_canonical_has_its_types(tmp_path: Path) -> None:
    for more, field in (({"id": 7}, "id"), ({"hypotheses": ["x"]}, "hypotheses[0]")):
        path = written(tmp_path, [utterances()[0] | more])
        with pytest.raises(InputError) as caught:
            read(path, format="canonical")
        assert (caught.value.line, caught.value.field) == (1, field)


def test_numbers_as_ids_and_bare_texts_are_read_where_no_format_is_named(tmp_path: Path) -> None:
    found, _ = read(written(tmp_path, [{"id": 7, "hypotheses": ["x", "y"]}, {"id": 8, "hypotheses": ["z", "y"]}]))
    assert [(utterance.id, utterance.hypotheses[0].text) for utterance in found] == [("7", "x"), ("8", "z")]


def test_two_references_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could both be the reference"):
        read(written(tmp_path, [{"id": "u", "ref": "a", "gold": "b", "nbest": ["a", "b"]}]))


def test_other_fields_that_are_not_read_are_named_once(tmp_path: Path) -> None:
    found, said = read(written(tmp_path, utterances(speaker="s", duration=2.5)))
    assert len(found) == 20
    assert said == "canonical: left unread: speaker, duration"


@pytest.mark.parametrize("name", ["cost", "graph_cost", "nll", "loss", "penalty", "PathCost"])
def test_a_cost_by_its_name_is_turned_and_said(tmp_path: Path, name: str) -> None:
    found, said = read(written(tmp_path, with_scores(name, (1.0, 2.0, 4.0))))
    assert found[0].hypotheses[2].scores == {f"minus_{name}": -4.0}
    assert f"minus_{name} with the sign turned" in said
    assert read(written(tmp_path, with_scores(name, (1.0, 2.0, 4.0))), as_given=True)[0][0].hypotheses[2].scores == {
        name: 4.0
    }


def test_scores_that_worsen_along_the_lists_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    path = written(tmp_path, with_scores("am", (41.0, 42.0, 44.0)))
    with pytest.raises(InputError, match=r"`costs=am`.*`as_given=True`"):
        read(path)
    found, said = read(path, costs=["am"])
    assert found[0].hypotheses[0].scores == {"minus_am": -41.0}
    assert "sign turned" in said
    assert read(path, as_given=True)[0][0].hypotheses[0].scores == {"am": 41.0}


def test_costs_name_a_score_of_the_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no score 'x'") as caught:
        read(written(tmp_path, with_scores("am", (-1.0, -2.0, -4.0))), costs=["x"])
    assert caught.value.parameter == "costs"


def test_a_probability_by_its_name_and_values_becomes_its_logarithm(tmp_path: Path) -> None:
    found, _ = read(written(tmp_path, with_scores("confidence", (0.5, 0.25, 0.125))))
    assert found[0].hypotheses[2].scores == {"log_confidence": math.log(0.125)}
    assert read(written(tmp_path, with_scores("confidence", (167.5, 160.0, 150.0))))[0][0].hypotheses[2].scores == {
        "confidence": 150.0
    }


def test_a_score_that_says_nothing_is_left_out_so_that_the_rank_counts(tmp_path: Path) -> None:
    found, said = read(written(tmp_path, with_scores("am", (0.0, 0.0, 0.0))))
    assert all(not hypothesis.scores for utterance in found for hypothesis in utterance.hypotheses)
    assert "only their ranks are used" in said


def test_an_unsorted_list_is_ranked_by_its_only_score(tmp_path: Path) -> None:
    path = written(tmp_path, with_scores("score", (-4.0, -2.0, -1.0)))
    found, said = read(path)
    assert [hypothesis.scores["score"] for hypothesis in found[0].hypotheses] == [-1.0, -2.0, -4.0]
    assert "ranked by it" in said
    assert read(path, as_given=True)[0][0].hypotheses[0].scores == {"score": -4.0}


@pytest.mark.parametrize("values", [(-1.0, -2.0, -4.0), (-1.0, -4.0, -2.0), (4.0, 2.0, 1.0)])
def test_good_scores_are_left_as_they_are(tmp_path: Path, values: tuple[float, ...]) -> None:
    found, said = read(written(tmp_path, with_scores("am", values)))
    assert [hypothesis.scores["am"] for hypothesis in found[0].hypotheses] == list(values)
    assert not said


def archives(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def test_kaldis_shares_are_never_counted_twice(tmp_path: Path) -> None:
    folder = archives(
        tmp_path / "n",
        words_text="u-1 a\nu-2 b\n",
        acwt="u-1 10\nu-2 20\n",
        lmwt__nolm="u-1 1\nu-2 2\n",
        lmwt__withlm="u-1 4\nu-2 6\n",
        lmwt__lmonly="u-1 3\nu-2 4\n",
    )
    found, said = read(folder)
    assert found[0].hypotheses[0].scores == {"acoustic": -1.0, "nolm": -1.0, "lmonly": -3.0}
    assert "multiplied by 0.1" in said
    (folder / "lmwt.lmonly").unlink()
    assert read(folder, acoustic_scale=0.5)[0][0].hypotheses[1].scores == {
        "acoustic": -10.0,
        "nolm": -2.0,
        "lmonly": -4.0,
    }


def test_a_folder_of_single_transcripts_is_no_list_whatever_the_ids_end_in(tmp_path: Path) -> None:
    lines = (
        "1089-134686-0000 he hoped there would be stew\n"
        "1089-134686-0001 stuff it into you\n"
        "1089-134686-0002 after early nightfall\n"
    )
    with pytest.raises(InputError, match="nothing to rescore"):
        read(archives(tmp_path / "a", text=lines))


def test_the_error_rate_of_flashlight_is_no_score(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text("u | -1.5 | -2 | -3 | 0.0 | one\nu | -1.75 | -2 | -3 | 50 | two\n")
    found, said = read(path)
    assert [hypothesis.scores for hypothesis in found[0].hypotheses] == [{"score": -1.5}, {"score": -1.75}]
    assert "WER (the answer)" in said


def test_an_error_rate_of_any_list_is_no_score(tmp_path: Path) -> None:
    records = [{"id": "u", "nbest": [{"text": "a", "score": -1, "wer": 0.0}, {"text": "b", "score": -2, "wer": 1.0}]}]
    found, said = read(written(tmp_path, records))
    assert found[0].hypotheses[0].scores == {"score": -1.0}
    assert "nbest[].wer" in said


def test_pyctcdecodes_lm_score_holds_the_logits(tmp_path: Path) -> None:
    path = tmp_path / "beams.json"
    path.write_text('[[["one", null, [["one", [1, 2]]], -1.5, -2.5], ["two", null, [["two", [1, 2]]], -2, -2.75]]]')
    assert [h.scores for h in read(path)[0][0].hypotheses] == [
        {"logit": -1.5, "lm": -1.0},
        {"logit": -2.0, "lm": -0.75},
    ]


def test_an_id_a_text_and_a_score_on_a_line_are_no_beams_of_nemo(tmp_path: Path) -> None:
    path = tmp_path / "list.tsv"
    path.write_text("u1\tone\t-1\nu1\ttwo\t-2\nu2\tthree\t-1\nu2\tfour\t-2\n")
    found, _ = read(path)
    assert [(utterance.id, len(utterance.hypotheses)) for utterance in found] == [("u1", 2), ("u2", 2)]
    assert found[0].hypotheses[0].scores == {"score": -1.0}


def test_a_count_that_grows_along_the_lists_is_no_cost(tmp_path):
    """Hypotheses of more and more tokens are in the order of their scores all the same."""
    path = tmp_path / "counted.jsonl"
    hypotheses = [{"text": "a " * n, "scores": {"acoustic": -float(n), "tokens": n}} for n in range(1, 6)]
    lines = [json.dumps({"id": f"u{number}", "hypotheses": hypotheses}) + "\n" for number in range(12)]
    path.write_text("".join(lines))
    assert [one.scores["tokens"] for one in list(read_nbest(path))[3].hypotheses] == [1, 2, 3, 4, 5]


NBEST = "input speechfile: {name}.wav\nsentence1: <s> a b </s>\nscore1: -1\nsentence2: <s> a </s>\nscore2: -2\n"


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("sentence1: <s> a b </s>\n", "score1, expected score3"),
        ("sentence1: <s> a b </s>\nscore1: -1\n", "sentence2, expected sentence3"),
        ("score1: -1\n", "score2, expected score1"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_input_of_julius_that_lost_a_line_is_no_part_of_another(
    tmp_path: Path, lost: str, message: str, is_first: bool
) -> None:
    whole, damaged = NBEST.format(name="a"), NBEST.format(name="b").replace(lost, "")
    path = tmp_path / "julius.txt"
    path.write_text(damaged + whole if is_first else whole + damaged)
    with pytest.raises(InputError, match="expected (sentence|score)" if is_first else message):
        read(path, format="julius")


@pytest.mark.parametrize(
    "results", [{"resqlts": [{"alternatives": [{"transcript": "b"}]}]}, {"results": "b", "x": [1]}]
)
def test_a_response_whose_results_have_another_name_is_not_passed_over(tmp_path: Path, results: Any) -> None:
    whole = {"results": [{"alternatives": [{"transcript": "a"}, {"transcript": "b"}]}]}
    for records in ([whole, results], [results, whole]):
        with pytest.raises(InputError, match=r"no utterance, expected them here .* \[results\[\]\]|field results\[\]"):
            read(written(tmp_path, records), format="google")


def test_a_response_to_silence_gives_no_utterance(tmp_path: Path) -> None:
    whole = {"results": [{"alternatives": [{"transcript": "a"}, {"transcript": "b"}]}]}
    silence = {"totalBilledTime": "15s", "metadata": {"requestId": "7"}}
    for answer in ({}, silence, {"results": []}, silence | {"results": []}):
        assert len(read(written(tmp_path, [whole, answer, whole]), format="google")[0]) == 2
