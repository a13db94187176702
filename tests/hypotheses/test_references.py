"""Tables of what is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.references import read_references


@pytest.mark.parametrize("between", [" ", "\t", "  ", " \t", "\u00a0"])
def test_an_id_and_its_words(tmp_path: Path, between: str) -> None:
    table = tmp_path / "text"
    table.write_text(f"u1{between}good{between}day\n\nu2\nu3{between}\r\n \nu4 bye")
    assert read_references(table) == {"u1": "good day", "u2": "", "u3": "", "u4": "bye"}


def test_a_packed_table_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "text.gz").write_bytes(gzip.compress("\ufeffu1\tgood day\n".encode()))
    assert read_references(tmp_path / "text.gz") == {"u1": "good day"}


@pytest.mark.parametrize("again", ["u1 bad day", "u1\tgood day", "u1"])
def test_an_id_twice_is_named_with_both_lines(tmp_path: Path, again: str) -> None:
    (tmp_path / "text").write_text(f"\nu1 good day\nu2 bye\n{again}\n")
    with pytest.raises(InputError) as error:
        read_references(tmp_path / "text")
    assert "line 2" in error.value.message
    assert (error.value.line, error.value.utterance) == (4, "u1")
    assert error.value.file == str(tmp_path / "text")


SAID = {"u1": "good day", "u2": "bye"}
KINDS = {
    "trn": "good  day (u1)\nbye (u2)\n",
    "stm": ";; made by hand\nu1 1 a 2.5 3.0 <o,f0> day\nu1 1 a 0.0 2.5 good\nu2 1 b 0 1 bye\n"
    "u2 1 b 1 2 ignore_time_segment_in_scoring\n",
    "tsv": "utt_id\tduration\tref\nu1\t2.5\tgood day\nu2\t1\tbye\n",
    "csv": 'text,id\n"good day",u1\nbye,u2\n',
    "lines": '{"utt": "u1", "reference": "good day", "duration": 2}\n{"utt": "u2", "reference": "bye"}\n',
    "array": '[{"key": "u1", "text": "good day"},\n {"key": "u2", "text": "bye"}]',
    "dictionary": '{"u1": "good day",\n "u2": "bye"}',
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_told_by_its_content(tmp_path: Path, kind: str) -> None:
    (tmp_path / "said").write_text(KINDS[kind])
    assert read_references(tmp_path / "said") == SAID


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"utt": "u1", "duration": 2}\n', "called like a reference"),
        ('{"reference": "x", "duration": 2}\n', "called like an id"),
        ("[1, 2]", "expected an object"),
        ("day (u1)\nday (u1)\n", "second reference"),
        ('{"utt": "u1", "ref": "a"}\n{"utt": "u1", "ref": "b"}\n', "second reference"),
    ],
)
def test_what_gives_no_references_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "said").write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_references(tmp_path / "said")
    assert error.value.file == str(tmp_path / "said")


def as_list(folder: Path, *lines: str) -> Path:
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "list.jsonl"


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_takes_its_references_from_a_file(tmp_path: Path, kind: str) -> None:
    path = as_list(tmp_path, '{"id": "u1", "nbest": ["good", "god"]}', '{"id": "u3", "nbest": ["a", "b"]}')
    (tmp_path / "said").write_text(KINDS[kind])
    reader = read_nbest(path, references=tmp_path / "said")
    assert [(utterance.id, utterance.reference) for utterance in reader] == [("u1", "good day"), ("u3", None)]
    assert f"references of 1 of 2 utterances in {tmp_path / 'said'}" in list(reader.notices)


def test_names_of_sound_files_are_ids(tmp_path: Path) -> None:
    path = as_list(tmp_path, '{"audio_filepath": "wavs/u1.wav", "nbest": ["good", "god"]}')
    (tmp_path / "said").write_text("u1 good day\nother/u2.flac bye\n")
    assert [utterance.reference for utterance in read_nbest(path, references=tmp_path / "said")] == ["good day"]


def test_a_file_of_other_utterances_is_refused(tmp_path: Path) -> None:
    (tmp_path / "said").write_text("v1 good day\nv2 bye\n")
    path = as_list(tmp_path, '{"id": "u1", "nbest": ["good", "god"]}')
    with pytest.raises(InputError, match="there are v1, v2") as error:
        list(read_nbest(path, references=tmp_path / "said"))
    assert (error.value.parameter, error.value.utterance) == ("references", "u1")
    path = as_list(tmp_path, '{"id": "u1", "ref": "god", "nbest": ["good", "god"]}')
    assert [utterance.reference for utterance in read_nbest(path, references=tmp_path / "said")] == ["god"]
