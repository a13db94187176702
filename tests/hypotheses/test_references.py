"""Tables of what is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from asr_lm.errors import InputError
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
