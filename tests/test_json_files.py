"""Every JSON file of a stranger is read whole, or refused with its name and the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_lm import json_files
from asr_lm.errors import InputError
from asr_lm.json_files import MOST_DEPTH, read_json


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


def nested(depth: int) -> bytes:
    return b'{"a": ' * (depth // 2) + b"[" * (depth - depth // 2) + b"]" * (depth - depth // 2) + b"}" * (depth // 2)


@pytest.mark.parametrize("value", [{}, [], 1, "é \U0001f600", {"a": [1, {"b": None}]}, [[[[0.5]]]]])
def test_what_is_json_is_read(value: object, path: Path) -> None:
    path.write_text(json.dumps(value))
    assert read_json(path) == value


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "Expecting"),
        (b"", "Expecting"),
        (b'{"a":\n "\xff"}', "not UTF-8"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b"9" * 5000, "4300"),
        (nested(100_000), "nested deeper"),
        (nested(900), "nested deeper"),
    ],
)
def test_what_is_none_is_refused(content: bytes, complaint: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as error:
        read_json(path)
    assert error.value.file == str(path)


def test_the_line_that_is_not_utf8(path: Path) -> None:
    path.write_bytes(b'{"a":\n "\xff"}')
    with pytest.raises(InputError) as error:
        read_json(path)
    assert error.value.line == 2


def test_the_limit_of_depth(path: Path) -> None:
    path.write_bytes(nested(MOST_DEPTH))
    read_json(path)
    path.write_bytes(nested(MOST_DEPTH + 1))
    with pytest.raises(InputError, match="nested deeper"):
        read_json(path)


def test_the_limit_of_size(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "MOST_BYTES", 10)
    path.write_bytes(b"[1]       ")
    assert read_json(path) == [1]
    path.write_bytes(b"[1]        ")
    with pytest.raises(InputError, match="more than 10 bytes"):
        read_json(path)


def test_a_missing_file(path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_json(path)
