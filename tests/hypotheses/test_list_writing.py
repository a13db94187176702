"""What is written reads back as it was, and what cannot be written leaves the file alone."""

from __future__ import annotations

import gzip
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest

LIST = [
    Utterance(
        "a",
        (
            Hypothesis("one  two", {"lm": -0.1}, -3.5, ((0.0, 0.25), (0.5, 1.0))),
            Hypothesis("", {"lm": -1e-300}, 2.0, ()),
        ),
        "one two",
        "r",
    ),
    Utterance("b é", (Hypothesis("日本 \n\t\u2028 nan", {"lm": 5.0}),)),
]


@pytest.mark.parametrize("name", ["l.jsonl", "l.json", "l.jsonl.gz", "l.json.zst", "l.json.gz", "l.jsonl.zst"])
def test_reading_gives_back_what_was_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_nbest(path, iter(LIST)) == 2
    assert list(read_nbest(path)) == LIST
    again = tmp_path / f"again.{name}"
    write_nbest(again, read_nbest(path))
    assert again.read_bytes() == path.read_bytes()


def test_suffixes_say_form_and_compression(tmp_path: Path) -> None:
    write_nbest(tmp_path / "l.json.gz", LIST)
    assert [entry["id"] for entry in json.loads(gzip.decompress((tmp_path / "l.json.gz").read_bytes()))] == ["a", "b é"]
    write_nbest(tmp_path / "l.trn.zst", LIST[:1])
    packed = (tmp_path / "l.trn.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == b"one two (a)\n"


def test_standard_output_gets_json_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output))
    assert write_nbest("-", LIST) == 2
    path = tmp_path / "copy.jsonl"
    path.write_bytes(output.getvalue())
    assert list(read_nbest(path)) == LIST
    assert output.getvalue().count(b"\n") == 2


def test_trn_holds_first_hypotheses_or_references(tmp_path: Path) -> None:
    silent = Utterance("c", (Hypothesis("", {"lm": -1.0}),), "")
    write_nbest(tmp_path / "h.trn", [LIST[0], silent])
    assert (tmp_path / "h.trn").read_text() == "one two (a)\n(c)\n"
    write_nbest(tmp_path / "x.ref.trn", LIST[:1])
    assert (tmp_path / "x.ref.trn").read_text() == "one two (a)\n"
    write_nbest(tmp_path / "h.txt", LIST[:1], "trn")
    assert (tmp_path / "h.txt").read_text() == "one two (a)\n"


def test_ctm_holds_words_with_start_and_duration_in_order_of_ids(tmp_path: Path) -> None:
    before = Utterance("B", (Hypothesis("zero", times=((1.0, 1.125),)),))
    empty = Utterance("c", (Hypothesis(""),))
    write_nbest(
        tmp_path / "l.ctm", [Utterance("a", (Hypothesis("one two", times=LIST[0].hypotheses[0].times),)), before]
    )
    assert (tmp_path / "l.ctm").read_text() == "B 1 1.000 0.125 zero\na 1 0.000 0.250 one\na 1 0.500 0.500 two\n"
    assert write_nbest(tmp_path / "l.ctm", [before, empty]) == 2
    assert (tmp_path / "l.ctm").read_text() == "B 1 1.000 0.125 zero\n"


def with_text(text: str, **fields: object) -> Utterance:
    return Utterance("a", (Hypothesis(text, **fields),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "utterances", "message"),
    [
        ("l.jsonl", [], "empty list"),
        ("l.json", [], "empty list"),
        ("l.trn", [], "empty list"),
        ("l.csv", LIST, "suffix names no format, expected one of jsonl, json, trn"),
        ("jsonl", LIST, "suffix names no format"),
        ("absent/l.json", LIST, "cannot be written"),
        ("l.json", [LIST[0], LIST[0]], "used before"),
        ("l.json", [Utterance("a", ())], "no hypotheses"),
        ("l.json", [Utterance("", (Hypothesis("x"),))], "empty, expected an id"),
        ("l.json", [with_text("x", scores={"lm": math.nan})], "nan is not a finite number"),
        ("l.json", [with_text("x", scores={"lm": 1.0}, total=-math.inf)], "hypotheses[0].total"),
        ("l.json", [with_text("x", scores={"lm": 1.0}), Utterance("b", (Hypothesis("x"),))], "same names"),
        ("l.trn", LIST, "no white space or parentheses"),
        ("l.trn", [with_text(";; x")], "comment"),
        ("l.ctm", [with_text("x")], "no word times"),
        ("l.ctm", LIST, "no white space or parentheses"),
        ("l.ref.trn", [LIST[0], with_text("x", scores={"lm": 1.0})][1:], "no reference"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, name: str, utterances: list[Utterance], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        write_nbest(tmp_path / name, utterances)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writer_keeps_the_old_file(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Utterance]:
        yield LIST[0]
        raise KeyboardInterrupt

    path = tmp_path / "l.json.gz"
    write_nbest(path, LIST)
    with pytest.raises(KeyboardInterrupt):
        write_nbest(path, interrupted())
    assert list(read_nbest(path)) == LIST
    assert list(tmp_path.iterdir()) == [path]


def test_large_finite_scores_are_no_infinity(tmp_path: Path) -> None:
    big = [with_text("x", scores={"a": 1.7e308, "b": 1.7e308}, total=1.7e308)]
    write_nbest(tmp_path / "l.json", big)
    assert list(read_nbest(tmp_path / "l.json")) == big
