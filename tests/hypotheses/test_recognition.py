"""A format is told from content, never from a name, and never where two fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.formats import FORMATS, recognise
from asr_lm.hypotheses.reading import read_nbest

CANONICAL = {"id": "a", "hypotheses": [{"text": "x"}]}
HYPORADISE = {"input": ["x"], "output": "x"}
MLM = {"a": {"hyp_1": {"score": 1, "text": "x"}}}


def dumped(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent)


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (dumped(CANONICAL), "canonical"),
        ("\ufeff\n\n " + dumped(CANONICAL), "canonical"),
        (dumped([CANONICAL], 2), "canonical"),
        (dumped([CANONICAL | {"hypotheses": [{"text": "x" * 300_000}] * 3, "input": "a.wav"}]), "canonical"),
        (dumped(HYPORADISE), "hyporadise"),
        (dumped([HYPORADISE], 2), "hyporadise"),
        (dumped([HYPORADISE | {"input": "x"}], 2), "hyporadise"),
        (dumped(MLM), "mlm-scoring"),
        (dumped(MLM, 2), "mlm-scoring"),
        (dumped({"a": {"ref": "x", "hyp_1": {"score": 1, "text": "x" * 200_000}}}), "mlm-scoring"),
        (dumped({"hypotheses": MLM["a"]}), "mlm-scoring"),
        (dumped({'a \\ " b': MLM["a"]}), "mlm-scoring"),
        ("x\t-1\ny\t-2.5\n", "nemo"),
        ("[noise]\t-1\n", "nemo"),
        ("\t-1\n", "nemo"),
        ("2\tone two\n0.5\t-10\t1\tone\n", "switchboard-ws97"),
    ],
)
def test_content_tells(tmp_path: Path, content: str, format: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    assert recognise(path) == format
    assert format in FORMATS


@pytest.mark.parametrize(
    ("content", "formats"),
    [
        (dumped(CANONICAL | HYPORADISE), ["canonical", "hyporadise"]),
        ("1\t5\n0.5\t-10\t1\t7\n", ["nemo", "switchboard-ws97"]),
    ],
)
def test_two_that_fit_are_an_error_until_one_is_named(tmp_path: Path, content: str, formats: list[str]) -> None:
    path = tmp_path / "list.json"
    path.write_text(content)
    with pytest.raises(InputError, match=f"{' or '.join(formats)}.*format="):
        recognise(path)
    if "canonical" in formats:
        assert [next(read_nbest(path, format)).id for format in formats] == ["a", "a"]


@pytest.mark.parametrize("content", ["hello\n", "7\n", '{"a": 1}', "[1, 2]", '["x"]', '{"utterances": []}', "a\tb\n"])
def test_none_that_fits_lists_the_formats(tmp_path: Path, content: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(content)
    with pytest.raises(InputError, match="expected one of canonical, mlm-scoring, hyporadise, nemo"):
        recognise(path)


def test_malformed_json_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    for content, line in [(dumped(CANONICAL)[:-1] + "\n" + dumped(CANONICAL), 2), ("{\n\n'id': 1}", 3), ("[", 1)]:
        path.write_text(content)
        with pytest.raises(InputError, match="malformed JSON") as caught:
            recognise(path)
        assert caught.value.line == line


def test_a_folder_that_fits_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("2\tone two\n0.5\t-10\t1\tone\n")
    assert recognise(tmp_path) == "switchboard-ws97"
    (tmp_path / "text").write_text("u-1 one\nu-2 one\n")
    with pytest.raises(InputError, match="kaldi or switchboard-ws97"):
        recognise(tmp_path)
    (tmp_path / "a").unlink()
    assert recognise(tmp_path) == "kaldi"


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("a.json", b'{"audio": 1, "stuff": {"x": 2}}', ["keys audio, stuff", '"hypotheses": [{"text"', "mapping="]),
        ("a.json", b'{"text": "one", "language": "en"}', ["one hypothesis for each utterance", "nothing to rescore"]),
        ("a.txt", b"no list at all\n", ["no list at all", '"hypotheses": [{"text"', "format="]),
        ("lat.1.gz", gzip.compress(b"\0B\xff\xfe\0\0", mtime=0), ["--lattice"]),
        ("a.db", b"SQLite format 3\0", ["an SQLite database"]),
    ],
)
def test_a_refusal_says_what_was_found_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, fragments: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        recognise(tmp_path / name)
    assert [fragment for fragment in fragments if fragment not in error.value.message] == []
