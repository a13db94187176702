"""Lines of an ARPA file, a block at a time, cut into fields without a loop over them.

A block stays as bytes, and its fields are pairs of offsets into it. Arrow's kernels read numbers and look words up
where they stand: what stands between two fields is an element of the array, too, but a null one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NEWLINE = 10
_SEPARATORS = np.zeros(256, dtype=bool)
_SEPARATORS[list(b" \t\r\n\0")] = True

Offsets = NDArray[np.int32]
Rows = NDArray[np.integer]


@dataclass(frozen=True)
class Lines:
    """Lines that are not blank, cut at spaces and tabs.

    Attributes:
        text: the block; it ends with a line end.
        begin, end: of every field ``[fields]``.
        first: number of the first field of every line ``[lines]``.
        fields: how many fields every line has ``[lines]``.
        line_end: offset of every line's end ``[lines]``.
        line_ends: how many line ends the block has, blank lines' included.
    """

    text: bytes
    begin: Offsets
    end: Offsets
    first: Offsets
    fields: Offsets
    line_end: Offsets
    line_ends: int

    @classmethod
    def cut(cls, text: bytes) -> Lines:
        """Cut a block of fewer than 2 ** 31 bytes that ends with a line end."""
        data = np.frombuffer(text, dtype=np.uint8)
        end = np.flatnonzero(data <= ord(" ")).astype(np.int32)
        kind = data.take(end)
        if not (cutting := _SEPARATORS.take(kind)).all():  # other control characters belong to words
            end, kind = end[cutting], kind[cutting]
        begin = np.empty_like(end)
        begin[:1] = 0
        np.add(end[:-1], 1, out=begin[1:])
        newlines = np.flatnonzero(kind == _NEWLINE).astype(np.int32)
        line_end, full = end[newlines], end > begin
        if full.all():
            upto = newlines + np.int32(1)
        else:
            upto = np.cumsum(full, dtype=np.int32)[newlines]
            begin, end = begin[full], end[full]
        fields = np.diff(upto, prepend=np.int32(0))
        written = fields > 0
        return cls(text, begin, end, (upto - fields)[written], fields[written], line_end[written], len(newlines))

    def __len__(self) -> int:
        return len(self.first)

    def head(self, count: int) -> Lines:
        """The first ``count`` lines."""
        if count >= len(self):
            return self
        return replace(self, first=self.first[:count], fields=self.fields[:count], line_end=self.line_end[:count])

    def number_of(self, line: int) -> int:
        """Number of line ends before a line, blank lines' included."""
        return self.text.count(b"\n", 0, int(self.begin[self.first[line]]))

    def column(self, column: int) -> list[bytes]:
        """The fields of a column ``[lines]``."""
        fields = self.first + np.int32(column)
        text, begin, end = self.text, self.begin[fields].tolist(), self.end[fields].tolist()
        return [text[one:other] for one, other in zip(begin, end, strict=True)]

    def field(self, number: int) -> bytes:
        return self.text[self.begin[number] : self.end[number]]

    def before(self, fields: Rows) -> NDArray[np.uint8]:
        """The byte before each field; no field begins the block."""
        return np.frombuffer(self.text, dtype=np.uint8)[self.begin[fields] - 1]

    def after(self, fields: Rows) -> NDArray[np.uint8]:
        """The byte after each field."""
        return np.frombuffer(self.text, dtype=np.uint8)[self.end[fields]]

    def changes(self, columns: range) -> NDArray[np.bool_]:
        """Whether some neighbouring columns are others than in the line before ``[lines]``."""
        import pyarrow as pa
        import pyarrow.compute as pc

        changed = np.ones(len(self), dtype=bool)
        if len(columns) and len(self) > 1:
            first = self.first + np.int32(columns[0])
            texts = self.strings(first, pa.binary(), through=first + np.int32(len(columns) - 1))
            same = pc.equal(texts[2:], texts[:-2])
            bits = np.unpackbits(np.frombuffer(same.buffers()[1], dtype=np.uint8), bitorder="little")
            changed[1:] = bits[same.offset : same.offset + len(same) : 2] == 0
        return changed

    def strings(self, fields: Rows, kind: Any, through: Rows | None = None) -> Any:
        """Some fields, ascending, as an Arrow array of type ``kind`` with a null after each ``[2 fields]``.

        With ``through`` what stands from each field to another one of its line.
        """
        import pyarrow as pa

        last = fields if through is None else through
        offsets = np.empty(2 * len(fields) + 1, dtype=np.int32)
        offsets[:-1:2], offsets[1::2] = self.begin[fields], self.end[last]
        offsets[-1] = self.end[last[-1]] if len(fields) else 0
        valid = np.full(len(fields) // 4 + 1, 0b01010101, dtype=np.uint8)
        buffers = [pa.py_buffer(buffer) for buffer in (valid, offsets, self.text)]
        return pa.Array.from_buffers(kind, 2 * len(fields), buffers, null_count=len(fields))

    def numbers(self, fields: Rows) -> NDArray[np.float32]:
        """Some fields, ascending, as numbers; nan for what is none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            values = pc.cast(self.strings(fields, pa.string()), pa.float32())
        except pa.ArrowInvalid:  # Arrow wants no plus sign
            return np.array([_number(self.field(number)) for number in fields.tolist()], dtype=np.float32)
        return np.frombuffer(values.buffers()[1], dtype=np.float32, count=2 * len(fields))[::2].copy()


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
