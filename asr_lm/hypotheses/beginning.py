"""What can be seen of a list before it is read: enough to tell which format it has.

Nothing is read before it is asked for, and no more than it takes: the first 64 KiB of a file, or as much as its first
JSON value needs.
"""

from __future__ import annotations

import codecs
import functools
import itertools
import json
import operator
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text, read_bytes
from asr_lm.hypotheses.json_records import TOO_DEEP

_START = 65536
_LONGEST_TOKEN = 64
_SAMPLE = 50
_BINARY = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\xff\xff\xff\xff": "an Arrow stream",
    b"PK\x03\x04": "a zip archive",
    b"\x80\x04": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x02": "a Python pickle",
    b"\x93NUMPY": "a NumPy array",
    b"RIFF": "a sound file",
    b"fLaC": "a sound file",
    b"SQLite": "an SQLite database",
    b"%PDF": "a PDF file",
}
_JSON_FILE = re.compile(r"\.(json|jsonl|ndjson)(\.gz|\.zst)?$", re.IGNORECASE)
_ENDS = "]", "}"


class Beginning:
    """The beginning of a file, or the names in a folder.

    Attributes:
        path: the file or folder.
        is_folder: which of the two.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_folder = path.is_dir()

    @functools.cached_property
    def files(self) -> list[Path]:
        """The files of the folder itself, without hidden ones, in the order of names; none for a file."""
        if not self.is_folder:
            return []
        return sorted(file for file in self.path.iterdir() if file.is_file() and not file.name.startswith("."))

    @functools.cached_property
    def json_files(self) -> list[Path]:
        """The files of a folder that holds nothing but JSON files, one response of a service each; else none."""
        return self.files if all(_JSON_FILE.search(file.name) for file in self.files) else []

    @functools.cached_property
    def _document(self) -> Beginning:
        """What JSON values are looked for in: the file, or the first JSON file of the folder."""
        return Beginning(self.json_files[0]) if self.json_files else self

    @functools.cached_property
    def head(self) -> bytes:
        """The first 64 KiB of a file, decompressed; nothing of a folder."""
        return b"" if self.is_folder else read_bytes(self.path, _START)

    @functools.cached_property
    def binary(self) -> str | None:
        """What the file is, where its first bytes say that it is no text."""
        known = next((what for magic, what in _BINARY.items() if self.head.startswith(magic)), None)
        return known or ("a binary file" if b"\0" in self.head and not self._is_wide_text() else None)

    def _is_wide_text(self) -> bool:
        return self.head.startswith((b"\xff\xfe", b"\xfe\xff")) or self.head[1:2] == b"\0"

    @functools.cached_property
    def text(self) -> str:
        """The beginning as text; nothing of a folder or a binary file.

        Raises:
            InputError: it is not UTF-8.
        """
        return "" if self.is_folder or self.binary else _decoded(self.path, self.head, len(self.head) < _START)

    @functools.cached_property
    def lines(self) -> list[str]:
        """The whole lines of the beginning that are not blank."""
        lines = self.text.split("\n")
        whole = lines if len(self.head) < _START else lines[:-1]
        return [line.rstrip("\r") for line in whole if line.strip()]

    @property
    def is_json(self) -> bool:
        """Whether the text begins as JSON objects and arrays do."""
        return self._document.text.lstrip()[:1] in ("{", "[")

    @property
    def is_array(self) -> bool:
        """Whether the text begins with an array."""
        return self._document.text.lstrip()[:1] == "["

    @functools.cached_property
    def first(self) -> Any:
        """The first JSON value, or the first element of the array that the file is; None where there is none."""
        return self._first_value[0] if self.is_json and self.malformed is None else None

    @functools.cached_property
    def malformed(self) -> InputError | None:
        """What is wrong with the first JSON value of a text that begins like JSON."""
        if self.is_json:
            try:
                _ = self._first_value
            except InputError as error:
                return error
        return None

    @functools.cached_property
    def sample(self) -> list[Any]:
        """The first JSON value and those after it that were read with it, 50 at most."""
        if not self.is_json or self.malformed:
            return []
        value, text, position = self._first_value
        return [value, *itertools.islice(_further_values(text, position), _SAMPLE - 1)]

    @functools.cached_property
    def _first_value(self) -> tuple[Any, str, int]:
        """The first value, the text it was found in, and where it ends there."""
        if self._document is not self:
            return self._document._first_value
        for size in itertools.accumulate(itertools.repeat(4), operator.mul, initial=_START):
            data = read_bytes(self.path, size)
            complete = len(data) < size
            text = _decoded(self.path, data, complete)
            position = _record_start(text)
            if text[position : position + 1] == "]":
                raise InputError("empty list, expected at least one utterance", file=display_name(self.path))
            try:
                value, end = json.JSONDecoder().raw_decode(text, position)
                return value, text, end
            except json.JSONDecodeError as error:
                # A value whose end was not read fails at the end, or at the start of its last string.
                if complete or not (error.msg.startswith("Unterminated") or error.pos > len(text) - _LONGEST_TOKEN):
                    message = f"malformed JSON ({error.msg} at column {error.colno})"
                    raise InputError(message, file=display_name(self.path), line=error.lineno) from None
            except RecursionError:
                raise InputError(TOO_DEEP, file=display_name(self.path)) from None
            except ValueError as error:
                raise InputError(f"malformed JSON ({error})", file=display_name(self.path)) from None
        raise AssertionError("unreachable: the sizes never end")

    def of(self, name: str) -> Beginning:
        """The beginning of a file in the folder."""
        return Beginning(self.path / name)


def first_lines(file: Path, number: int) -> list[str]:
    """The first lines of a text file."""
    return [line for _, line in itertools.islice(iterate_text(file), number)]


def _decoded(path: Path, data: bytes, complete: bool) -> str:
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=complete)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not UTF-8 ({error.reason})", file=display_name(path), line=line) from None


def _record_start(text: str) -> int:
    return len(text) - len(text.lstrip().removeprefix("[").lstrip())


def _further_values(text: str, position: int) -> Iterator[Any]:
    """The values after one another from a position on, with commas or white space between, as far as they are whole."""
    while True:
        rest = text[position : position + 256].lstrip().lstrip(",").lstrip()
        position += len(text[position : position + 256]) - len(rest)
        if not rest or rest.startswith(_ENDS):
            return
        try:
            value, position = json.JSONDecoder().raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield value
