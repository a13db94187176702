"""Lists that many processes read: JSON Lines or Parquet in the canonical form, one file or a folder of them.

Every row has a position, by which it is found again without those before it: the byte where its line begins (in a
packed file, of what it unpacks to), or its number in a Parquet file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.formats.canonical import read_record
from asr_lm.hypotheses.json_records import BYTE_ORDER_MARK
from asr_lm.hypotheses.parquet import utterance_of, without_null
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Location
from asr_lm.limits import LINE
from asr_lm.storage import Storage

SCANNED = 32 * 2**20
"""Bytes of a file that are looked through at a time."""

_PARQUET = b"PAR1"
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_BLOCK = 2**20
_NEEDED = ("id", "hypotheses")


class RowSpan(NamedTuple):
    """Rows of a file that follow one another.

    Attributes:
        file: number of the file in the list.
        begin: position of the first row.
        end: position behind the last row.
    """

    file: int
    begin: int
    end: int


class ListRow(NamedTuple):
    """A row as it was read.

    Attributes:
        position: where it stands.
        line: number of the line, or of the row, from 1 at the beginning of the span.
        content: a line, or columns by name.
    """

    position: int
    line: int
    content: bytes | Mapping[str, Any]

    @property
    def raw(self) -> bytes:
        """The content as one line."""
        if isinstance(self.content, bytes):
            return self.content
        return msgspec.json.encode(without_null(self.content), enc_hook=str)


@dataclass(frozen=True)
class ListFiles:
    """The files of a list. It can be pickled.

    Attributes:
        files: in the order of their names.
        is_parquet: or else JSON Lines.
        packed: which files cannot be read from the middle.
    """

    files: tuple[Storage, ...]
    is_parquet: bool
    packed: tuple[bool, ...]

    @classmethod
    def of(cls, place: str) -> ListFiles:
        """Look for the files of a list.

        Raises:
            InputError: there are none, or files of both kinds.
        """
        storage = Storage(place)
        kind = storage.kind
        if kind == "nothing":
            raise InputError("no such file", file=place)
        files = tuple(storage.files() if kind == "folder" else [storage])
        if not files:
            raise InputError("is an empty folder, an n-best list was expected", file=place)
        heads = [_head(file) for file in files]
        parquet = [head.startswith(_PARQUET) for head in heads]
        if any(parquet) and not all(parquet):
            raise InputError("has files of Parquet and others, expected one kind", file=place)
        return cls(files, parquet[0], tuple(head.startswith(_PACKED) for head in heads))

    def place(self, file: int, line: int | None = None) -> Location:
        """Where a row stands, for messages."""
        return Location(self.files[file].name, line)

    def stretches(self) -> Iterator[RowSpan]:
        """The whole list in stretches that can be looked through apart; their ends need not be those of rows."""
        for number, file in enumerate(self.files):
            ends = _row_groups(file) if self.is_parquet else _blocks(file, self.packed[number])
            begin = 0
            for end in ends:
                yield RowSpan(number, begin, end)
                begin = end

    def utterance(self, row: ListRow, place: Location) -> Utterance:
        """What a row says.

        Raises:
            InputError: it is no utterance.
        """
        if isinstance(row.content, bytes):
            return read_record(row.content, place, {})
        return utterance_of(row.content, place)


class RowReader:
    """Reads rows of a source; what it has opened of a packed file it goes on with."""

    def __init__(self, source: ListFiles) -> None:
        self.source = source
        self._stream: BinaryIO | None = None
        self._file, self._position = -1, 0

    def whole_rows(self, span: RowSpan) -> RowSpan:
        """The rows that begin in a stretch."""
        if self.source.is_parquet or self.source.packed[span.file]:
            return span
        return RowSpan(span.file, self._row_at(span.file, span.begin), self._row_at(span.file, span.end))

    def _row_at(self, file: int, position: int) -> int:
        """Where the first row begins at or behind a position."""
        if position == 0:
            return 0
        with self.source.files[file].open() as stream:
            stream.seek(position - 1)
            at, most = position - 1, position + LINE.bytes()
            while block := stream.read(min(_BLOCK, 2**16 if at == position - 1 else _BLOCK)):
                if (found := block.find(b"\n")) >= 0:
                    return int(at + found + 1)
                at += len(block)
                if at > most:
                    raise LINE.exceeded(self.source.files[file].name)
        return at

    def rows(self, span: RowSpan) -> Iterator[ListRow]:
        """The rows of a span; blank lines are none.

        Raises:
            InputError: the file is damaged.
        """
        return (row for row in self.lines(span) if row.content)

    def lines(self, span: RowSpan) -> Iterator[ListRow]:
        """The rows of a span, blank lines among them.

        Raises:
            InputError: the file is damaged.
        """
        if self.source.is_parquet:
            return self._parquet_rows(span)
        return _lines(self._packed(span) if self.source.packed[span.file] else self._bytes(span), span.begin)

    def _bytes(self, span: RowSpan) -> Iterator[bytes]:
        with self.source.files[span.file].open() as stream:
            stream.seek(span.begin)
            yield from stream.read(span.end - span.begin).splitlines(keepends=True)

    def _packed(self, span: RowSpan) -> Iterator[bytes]:
        """Lines of a packed file; those before the span are unpacked, but only once by one reader that goes forward."""
        name = self.source.files[span.file].name
        if self._stream is None or self._file != span.file or self._position > span.begin:
            context = self.source.files[span.file].unpacked()
            self._stream, self._file, self._position = context.__enter__(), span.file, 0
            self._context = context
        try:
            while self._position < span.begin:
                self._position += len(self._stream.read(min(_BLOCK, span.begin - self._position)))
            while self._position < span.end and (line := self._stream.readline(LINE.bytes() + 1)):
                if len(line) > LINE.bytes():
                    raise LINE.exceeded(name)
                self._position += len(line)
                yield line
        except (EOFError, OSError) as error:
            raise InputError(f"damaged or truncated file ({error})", file=name) from error

    def _parquet_rows(self, span: RowSpan) -> Iterator[ListRow]:
        import pyarrow.parquet

        name = self.source.files[span.file].name
        with self.source.files[span.file].open() as stream:
            file = pyarrow.parquet.ParquetFile(stream)
            columns = [name for name in Utterance.__struct_fields__ if name in file.schema_arrow.names]
            if missing := [name for name in _NEEDED if name not in columns]:
                raise InputError(f"no column {missing[0]!r}, expected the canonical form", file=name)
            begin = 0
            for number in range(file.num_row_groups):
                end = begin + file.metadata.row_group(number).num_rows
                if begin < span.end and end > span.begin:
                    first, last = max(begin, span.begin), min(end, span.end)
                    table = file.read_row_group(number, columns).slice(first - begin, last - first)
                    for place, content in enumerate(table.to_pylist(), first):
                        yield ListRow(place, place - span.begin + 1, content)
                begin = end


def _lines(lines: Iterator[bytes], position: int) -> Iterator[ListRow]:
    for number, line in enumerate(lines, 1):
        content = line.strip() if position else line.removeprefix(BYTE_ORDER_MARK).strip()
        yield ListRow(position, number, content)
        position += len(line)


def _head(file: Storage) -> bytes:
    with file.open() as stream:
        return bytes(stream.read(4))


def _blocks(file: Storage, packed: bool) -> Iterator[int]:
    """Ends of stretches of a file of lines."""
    if packed:
        yield 2**62
        return
    size = file.size
    yield from range(SCANNED, size, SCANNED)
    yield size


def _row_groups(file: Storage) -> Iterator[int]:
    """Ends of stretches of a Parquet file: whole groups of rows."""
    import pyarrow.parquet

    with file.open() as stream:
        footer = pyarrow.parquet.ParquetFile(stream).metadata
    begin, end, size = 0, 0, 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        end, size = end + group.num_rows, size + group.total_byte_size
        if size >= SCANNED:
            yield end
            begin, size = end, 0
    if end > begin:
        yield end
