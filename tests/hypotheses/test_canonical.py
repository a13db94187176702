"""The canonical list: what is accepted, and how each fault is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance

UTTERANCE = {
    "id": "a",
    "recording": "r",
    "reference": "he hoped",
    "hypotheses": [
        {"text": "he hoped", "scores": {"acoustic": -1.5, "lm": -2}},
        {"text": "", "scores": {"acoustic": -2.5, "lm": -3.25}},
    ],
}
EXPECTED = Utterance(
    "a",
    (Hypothesis("he hoped", {"acoustic": -1.5, "lm": -2.0}), Hypothesis("", {"acoustic": -2.5, "lm": -3.25})),
    "he hoped",
    "r",
)


def refusal(path: Path, format: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        list(read_nbest(path, format))
    assert str(path) in str(caught.value)
    return caught.value


def written(folder: Path, *lines: object) -> Path:
    path = folder / "list.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_lines_and_array_hold_the_same(tmp_path: Path, indent: int | None) -> None:
    second = UTTERANCE | {"id": "b"}
    array = tmp_path / "list.json"
    array.write_text(json.dumps([UTTERANCE, second], indent=indent))
    lines = list(read_nbest(written(tmp_path, UTTERANCE, second)))
    assert lines == list(read_nbest(array))
    assert lines[0] == EXPECTED
    assert [utterance.id for utterance in lines] == ["a", "b"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gz", "zst"])
def test_compressed_files_are_read_and_truncated_ones_refused(tmp_path: Path, pack) -> None:
    content = "".join(json.dumps(UTTERANCE | {"id": f"utterance {n}"}) + "\n" for n in range(500)).encode()
    packed = tmp_path / "list"
    packed.write_bytes(pack(content))
    assert len(list(read_nbest(packed))) == 500
    for kept in (0.3, 0.9, 0.999):
        packed.write_bytes(pack(content)[: int(len(pack(content)) * kept)])
        assert "damaged or truncated" in str(refusal(packed))
        assert "damaged or truncated" in str(refusal(packed, "canonical"))


def test_blank_lines_byte_order_mark_and_unknown_fields_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeff", json.dumps(UTTERANCE | {"speaker": {"age": 30}}), "  ")
    assert list(read_nbest(path)) == [EXPECTED]


@pytest.mark.parametrize("text", ["nan", "null", "NaN", "none", "", "-inf", "1e999"])
def test_texts_stay_texts(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, {"id": text or "x", "reference": text, "hypotheses": [{"text": text}]})
    (utterance,) = read_nbest(path)
    assert utterance.hypotheses[0].text == text
    assert utterance.reference == text


def hypotheses(*values: object) -> dict[str, object]:
    return {"id": "b", "hypotheses": list(values)}


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        ('{"id": "b", "hypotheses": [}', None, "malformed JSON (Expecting value at column 28)"),
        ('{"id": "b", "hypotheses": [{"text": "x"}]} y', None, "malformed JSON (Extra data at column 44)"),
        ('{"id": "b"', None, "malformed JSON"),
        ("[" * 100_000, None, "nested too deeply"),
        ("[1]", None, "expected `object`, got `array`"),
        ('{"id": "b", "x": ' + "[" * 100_000, None, "nested too deeply"),
        ("7", None, "expected `object`, got `int`"),
        ({"hypotheses": [{"text": "x"}]}, "id", "missing"),
        ({"id": "", "hypotheses": [{"text": "x"}]}, "id", "empty"),
        ({"id": " ", "hypotheses": [{"text": "x"}]}, "id", "empty"),
        ({"id": 7, "hypotheses": [{"text": "x"}]}, "id", "expected `str`, got `int`"),
        ({"id": "a", "hypotheses": [{"text": "x"}]}, "id", "used before in line 1"),
        ({"id": "b"}, "hypotheses", "missing"),
        (hypotheses(), "hypotheses", "no hypotheses"),
        ({"id": "b", "hypotheses": {"text": "x"}}, "hypotheses", "expected `array`, got `object`"),
        (hypotheses({"text": "x"}, "y"), "hypotheses[1]", "expected `object`, got `str`"),
        (hypotheses({"text": "x"}, {}), "hypotheses[1].text", "missing"),
        (hypotheses({"text": None}), "hypotheses[0].text", "expected `str`, got `null`"),
        (hypotheses({"text": "x", "scores": [1]}), "hypotheses[0].scores", "expected `object`, got `array`"),
        (hypotheses({"text": "x", "scores": {"am": 1, "lm": "2"}}), "hypotheses[0].scores.lm", "got `str`"),
        (hypotheses({"text": "x", "scores": {"am": True}}), "hypotheses[0].scores.am", "got `bool`"),
        (hypotheses({"text": "x", "total": "1"}), "hypotheses[0].total", "got `str`"),
        ({"id": "b", "reference": 5, "hypotheses": [{"text": "x"}]}, "reference", "expected `str | null`, got `int`"),
        ({"id": "b", "recording": [], "hypotheses": [{"text": "x"}]}, "recording", "got `array`"),
        (hypotheses({"text": "x", "scores": {"am": float("nan")}}), "hypotheses[0].scores.am", "not a finite number"),
        (hypotheses({"text": "x", "scores": {"am": float("-inf")}}), "hypotheses[0].scores.am", "not a finite number"),
        (
            '{"id": "b", "hypotheses": [{"text": "x", "scores": {"l": 1, "m": 1e999}}]}',
            "hypotheses[0].scores.m",
            "not a",
        ),
        (hypotheses({"text": "x", "scores": {"m": 10**400}}), "hypotheses[0].scores.m", "not a finite number"),
        ('{"id": 1, "x": ' + "9" * 5000 + "}", None, "malformed JSON (Exceeds the limit"),
        (
            '{"hypotheses": [{"text": "x", "scores": {"m": "1"}}], "hypotheses": []}',
            "hypotheses[0].scores",
            "got `str`",
        ),
        (hypotheses({"text": "x y", "times": [[0, 1]]}), "hypotheses[0].times", "1 interval for 2 words"),
        (hypotheses({"text": "x", "times": [[2, 1]]}), "hypotheses[0].times[0]", "no interval"),
        ('{"id": "b", "hypotheses": [{"text": "\\ud800"}]}', None, "surrogate"),
    ],
)
def test_a_fault_is_named_by_file_line_and_field(tmp_path: Path, line: object, field: str | None, message: str) -> None:
    error = refusal(written(tmp_path, {"id": "a", "hypotheses": [{"text": "x"}]}, line))
    assert (error.line, error.field) == (2, field)
    assert message in error.message
    if isinstance(line, dict) and isinstance(line.get("id"), str) and line["id"].strip():
        assert error.utterance == line["id"]


def test_a_fault_in_an_array_is_named_by_its_position(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('[\n {"id": "a", "hypotheses": [{"text": "x"}]},\n\n {"id": "b",\n "hypotheses": [{"text": 1}]}]')
    error = refusal(path)
    assert (error.line, error.utterance, error.field) == (4, "b", "[1].hypotheses[0].text")
    path.write_text('[{"id": "a", "hypotheses": [{"text": "x"}]},\n{"id": "b", "hypotheses": [{"text": 1}]')
    assert refusal(path).line == 2
    path.write_text('[{"id": "a", "hypotheses": [{"text": "x", "scores": {"lm": NaN}}]}]')
    error = refusal(path)
    assert (error.utterance, error.field) == ("a", "[0].hypotheses[0].scores.lm")
    assert "not a finite number" in error.message


@pytest.mark.parametrize(
    ("first", "second"),
    [({"am": -1.0}, {"am": -1.0, "lm": -2.0}), ({}, {"am": -1.0}), ({"am": -1.0}, {}), ({"am": -1.0}, {"lm": -1.0})],
)
def test_score_names_may_not_differ_within_a_file(tmp_path: Path, first: object, second: object) -> None:
    one, other = {"text": "x", "scores": first}, {"text": "x", "scores": second}
    error = refusal(written(tmp_path, {"id": "a", "hypotheses": [one, other]}))
    assert (error.line, error.utterance, error.field) == (1, "a", "hypotheses[1].scores")
    across = written(tmp_path, {"id": "a", "hypotheses": [one]}, {"id": "b", "hypotheses": [one, one, other]})
    error = refusal(across)
    assert (error.line, error.utterance, error.field) == (2, "b", "hypotheses[2].scores")
    assert "same names" in error.message


@pytest.mark.parametrize("content", ["", "\n \n", "[]", " [ ] "])
@pytest.mark.parametrize("format", [None, "canonical"])
def test_an_empty_list_is_refused(tmp_path: Path, content: str, format: str | None) -> None:
    path = tmp_path / "list.json"
    path.write_text(content)
    assert "empty" in refusal(path, format).message


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    line = json.dumps(UTTERANCE)
    for content in (line.encode("utf-16"), line.replace("he", "h\xe9").encode("latin-1")):
        path.write_bytes(content)
        assert "not UTF-8" in refusal(path).message
        assert "not UTF-8" in refusal(path, "canonical").message
    path.write_bytes(f"{line}\n".encode() + line.replace("he", "h\xe9").encode("latin-1"))
    assert refusal(path).line == 2


@pytest.mark.parametrize("format", ["canonical", "hyporadise", "json"])
def test_nor_are_they_read_in_fields_that_are_not_known(tmp_path: Path, format: str) -> None:
    path = tmp_path / "list.jsonl"
    entry = (
        b'{"id": "u", "input": ["a"], "output": "a", "am_score": [-1], "hypotheses": [{"text": "a"}], "\xe9": "\xe9"}'
    )
    for content in (entry, b"[\n" + entry + b"\n]"):
        path.write_bytes(content)
        error = refusal(path, format)
        assert "not UTF-8" in error.message
        assert error.line == 1 + content.count(b"\n", 0, content.index(b"\xe9"))


def test_missing_files_and_unknown_formats_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent.jsonl").message
    path = written(tmp_path, UTTERANCE)
    assert "expected one of canonical, mlm-scoring" in refusal(path, "csv").message
