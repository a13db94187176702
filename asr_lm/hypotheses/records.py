"""Records of a file or folder, whatever holds them: JSON, tables, Parquet, Arrow.

A record is a JSON value, or a row of a table: a dictionary by the names of the columns, a list where a table has no
header. Read are JSON Lines, a JSON array, one or several JSON documents (indented or not), a folder of JSON files, CSV
and TSV, Parquet and Arrow files, and folders of Hugging Face ``datasets`` (``save_to_disk``, or Parquet files).
"""

from __future__ import annotations

import ast
import contextlib
import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.arrow_rows import arrow_rows
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.json_records import decode_record, json_records
from asr_lm.hypotheses.validation import Location, decimal

DELIMITERS = "\t,;|"
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}
_LARGEST_CELL = 1 << 27


class Record(NamedTuple):
    """A record, where it stands, the name (without suffix) of the file that holds it, and whether that is an id."""

    place: Location
    value: Any
    stem: str
    is_named: bool = False


def json_values(path: Path) -> Iterator[Record]:
    """The JSON values of a file, or of each file of a folder in the order of their names.

    Raises:
        InputError: a file is damaged or malformed.
    """
    files = Beginning(path).json_files
    for file in files or [path]:
        stem = stem_of(file)
        for number, (place, value) in enumerate(_values(file), 1):
            yield Record(place, value, stem if number == 1 else f"{stem}-{number}", is_named=bool(files))


def stem_of(file: Path) -> str:
    """The name of a file without ``.json``, ``.jsonl``, ``.gz`` and the like."""
    return file.name.partition(".")[0] or file.name


def _values(file: Path) -> Iterator[tuple[Location, Any]]:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
    for place, raw in json_records(file):
        yield place, decode_record(decoder, raw, place)


class Table(NamedTuple):
    """What the first lines of a table say: the delimiter, whether cells are quoted, the names of the columns."""

    delimiter: str
    quoting: Literal[0, 3]
    header: list[str] | None


def table_of(beginning: Beginning, is_header: Any) -> Table | None:
    """How the file is a table, None where its first lines have not the same number of columns, two at least.

    Args:
        beginning: of the file.
        is_header: tells from the cells of the first line whether they are names.
    """
    first = beginning.lines[:20]
    if not first or beginning.is_json:
        return None
    for delimiter in DELIMITERS:
        if delimiter not in first[0]:
            continue
        quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" and not _is_quoted(first) else csv.QUOTE_MINIMAL
        rows = _cells(first, delimiter, quoting)
        if rows is None or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
            continue
        named = is_header(rows[0]) and not any(decimal(cell) is not None for cell in rows[0])
        return Table(delimiter, quoting, rows[0] if named else None)
    return None


def _is_quoted(lines: list[str]) -> bool:
    cells = [cell for line in lines for cell in line.split("\t") if '"' in cell]
    return bool(cells) and all(cell[:1] == cell[-1:] == '"' and len(cell) > 1 for cell in cells)


def _cells(lines: list[str], delimiter: str, quoting: Literal[0, 3]) -> list[list[str]] | None:
    with contextlib.suppress(csv.Error):
        return list(csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True))
    return None


def table_rows(path: Path, table: Table) -> Iterator[Record]:
    """The rows of a table; cells that are numbers stay texts, and so do lists (see :func:`with_lists`).

    Raises:
        InputError: a row has more or fewer cells than the first, or its quotes do not match.
    """
    csv.field_size_limit(_LARGEST_CELL)
    name, stem = display_name(path), stem_of(path)
    lines = _Counted(iterate_text(path))
    reader = csv.reader(lines, delimiter=table.delimiter, quoting=table.quoting, strict=True)
    width, header = 0, table.header
    if header is not None and len(set(header)) != len(header):
        raise InputError("two columns have the same name", file=name, line=1)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(f"malformed table ({error})", file=name, line=lines.number) from None
        if row is None:
            return
        if not row:
            continue
        if width and len(row) != width:
            raise InputError(f"{counted(len(row), 'cell')}, expected {width}", file=name, line=lines.number)
        if width or header is None:
            yield Record(
                Location(name, lines.number), row if header is None else dict(zip(header, row, strict=True)), stem
            )
        width = len(row)


class _Counted:
    """Lines for the csv module, which counts them itself only from one reader on."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        return line + "\n"


def with_lists(value: Any) -> Any:
    """A row in which a cell that holds a list in Python's or JSON's spelling is that list."""
    if isinstance(value, dict):
        return {name: _list_in(cell) for name, cell in value.items()}
    return [_list_in(cell) for cell in value] if isinstance(value, list) else value


def _list_in(cell: Any) -> Any:
    if isinstance(cell, str) and cell[:1] == "[" and cell[-1:] == "]" and len(cell) < 1_000_000:
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            found = ast.literal_eval(cell)
            return found if isinstance(found, list) else cell
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(cell)
    return cell


def columnar_files(path: Path) -> list[Path]:
    """The Parquet or Arrow files that a path is or holds, in the order of names; none where it is something else.

    Raises:
        InputError: a folder of ``datasets`` with more than one split.
    """
    if not path.is_dir():
        return [path] if _columnar_kind(path) else []
    if (path / "dataset_dict.json").is_file():
        return _only_split(path)
    return [file for file in sorted(path.iterdir()) if file.suffix in (".parquet", ".arrow") and _columnar_kind(file)]


def _only_split(path: Path) -> list[Path]:
    splits = sorted(folder for folder in path.iterdir() if folder.is_dir())
    if len(splits) != 1:
        names = ", ".join(folder.name for folder in splits)
        raise InputError(f"a data set with the splits {names}: name the folder of one of them", file=path)
    return columnar_files(splits[0])


def _columnar_kind(file: Path) -> str | None:
    head = Beginning(file).head
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def columnar_rows(path: Path) -> Iterator[Record]:
    """The rows of Parquet and Arrow files, batch by batch.

    Raises:
        InputError: a file is damaged, or unpacks to more than :mod:`asr_lm.limits` allows.
    """
    for file in columnar_files(path):
        name, stem, number = display_name(file), stem_of(file), itertools.count()
        try:
            for row in arrow_rows(file, _columnar_kind(file) == "parquet"):
                yield Record(Location(f"{name}, row {next(number) + 1}"), row, stem)
        except InputError:
            raise
        except Exception as error:  # pyarrow lets a dozen kinds through for damaged files, SystemError among them
            message = str(error).partition("\n")[0]
            raise InputError(f"damaged {_columnar_kind(file)} file ({message})", file=name) from None
