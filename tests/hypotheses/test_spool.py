"""Standard input and pipes can be read again, and errors keep their names."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.spool import rereadable
from asr_lm.hypotheses.utterance import Utterance

LINE = json.dumps({"id": "a", "hypotheses": [{"text": "x"}]}).encode() + b"\n"


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_by_content(monkeypatch: pytest.MonkeyPatch, pack) -> None:
    feed(monkeypatch, pack(LINE))
    assert [utterance.id for utterance in read_nbest("-")] == ["a"]


def test_spooled_input_is_read_twice_and_then_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, LINE)
    with rereadable("-") as path:
        assert list(read_nbest(path)) == list(read_nbest(path))
        assert path.read_bytes() == LINE
    assert not path.exists()


@pytest.mark.parametrize(("content", "line"), [(LINE + b"{", 2), (b"", None), (b"7", None)])
def test_errors_speak_of_standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes, line: int | None) -> None:
    def nested() -> list[Utterance]:
        with rereadable("-") as path:
            return list(read_nbest(path))

    for read in (nested, lambda: list(read_nbest("-"))):
        feed(monkeypatch, content)
        with pytest.raises(InputError) as caught:
            read()
        assert (caught.value.file, caught.value.line) == ("<stdin>", line)


def test_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match=r"<stdin>.*standard input is closed"):
        list(read_nbest("-"))


def test_a_pipe_is_spooled(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LINE,))
    writer.start()
    assert [utterance.id for utterance in read_nbest(pipe)] == ["a"]
    writer.join()


def test_files_and_folders_are_not_copied(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with rereadable(path) as same:
            assert same == path
