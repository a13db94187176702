"""The rows of Parquet and Arrow files, which pyarrow reads: it takes what a file claims for true.

So what is claimed is looked at first: offsets that lead out of their buffers would have it read, or crash at, whatever
lies in memory there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_lm.files import display_name
from asr_lm.limits import LINE, WHOLE

if TYPE_CHECKING:
    import pyarrow

_ROWS = 1024
_FILE_MAGIC = b"ARROW1"
_SMALLEST_VALUE = 8
"""Bytes that a value takes as a Python object, at the least."""


def arrow_rows(file: Path, is_parquet: bool) -> Iterator[dict[str, Any]]:
    """The rows of a file, as dictionaries by the names of the columns.

    Raises:
        InputError: a row is larger than :data:`asr_lm.limits.LINE`, or the file unpacks to more at a time than
            :data:`asr_lm.limits.WHOLE`.
        Exception: of many kinds, where the file is damaged.
    """
    for batch in _parquet_batches(file) if is_parquet else _arrow_batches(file):
        batch.validate(full=True)
        yield from _rows(batch, display_name(file))


def _rows(batch: pyarrow.RecordBatch, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a batch, few at a time where they are large."""
    if batch.num_rows > 1 and (batch.num_rows > _ROWS or batch.nbytes > LINE.bytes()):
        half = batch.num_rows // 2
        for part in (batch.slice(0, half), batch.slice(half)):
            yield from _rows(part, name)
        return
    if batch.nbytes > LINE.bytes():
        raise LINE.exceeded(name)
    yield from batch.to_pylist()


def _parquet_batches(file: Path) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(file) as opened:
        _check_claims(opened.metadata, display_name(file))
        yield from opened.iter_batches(batch_size=_ROWS)


def _check_claims(footer: Any, name: str) -> None:
    """Refuse columns that unpack to too much: one of a group of rows is in memory as a whole.

    Raises:
        InputError: one does.
    """
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if max(column.total_uncompressed_size, _SMALLEST_VALUE * column.num_values) > WHOLE.bytes():
                raise WHOLE.exceeded(name)


def _arrow_batches(file: Path) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    with file.open("rb") as stream:
        is_file = stream.read(len(_FILE_MAGIC)) == _FILE_MAGIC
    with pyarrow.OSFile(str(file)) as source:
        if is_file:
            reader = pyarrow.ipc.open_file(source)
            yield from map(reader.get_batch, range(reader.num_record_batches))
        else:
            yield from pyarrow.ipc.open_stream(source)
