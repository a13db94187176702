"""Lists as Parquet in the canonical form: a row an utterance, its columns are the fields of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Location

if TYPE_CHECKING:
    import pyarrow

_UTTERANCE = frozenset(Utterance.__struct_fields__)
_HYPOTHESIS = frozenset(Hypothesis.__struct_fields__)

ROWS = 2_000
"""Utterances of a group of rows."""


def parquet_bytes(utterances: Iterable[Utterance]) -> Iterator[bytes]:
    """A Parquet file, piece by piece; its columns are all fields of an utterance, null where they are not known.

    The first utterance says which scores there are.
    """
    import pyarrow
    import pyarrow.parquet

    stream, sink = iter(utterances), _Pieces()
    writer = None
    while group := list(islice(stream, ROWS)):
        schema = _schema(group[0]) if writer is None else writer.schema
        writer = writer or pyarrow.parquet.ParquetWriter(pyarrow.PythonFile(sink, "w"), schema, compression="zstd")
        writer.write_table(pyarrow.Table.from_pylist([msgspec.to_builtins(utterance) for utterance in group], schema))
        yield sink.take()
    if writer is not None:
        writer.close()
        yield sink.take()


def _schema(utterance: Utterance) -> pyarrow.Schema:
    import pyarrow as pa

    names = dict.fromkeys(name for each in utterance.hypotheses for name in each.scores)
    scores = [("scores", pa.struct([(name, pa.float64()) for name in names]))] if names else []
    hypothesis = pa.struct(
        [
            ("text", pa.string()),
            *scores,
            ("total", pa.float64()),
            ("times", pa.list_(pa.list_(pa.float64()))),
            ("corrected", pa.bool_()),
            ("confidences", pa.list_(pa.float64())),
        ]
    )
    return pa.schema(
        [
            ("id", pa.string()),
            ("hypotheses", pa.list_(hypothesis)),
            ("reference", pa.string()),
            ("recording", pa.string()),
            ("confidence", pa.float64()),
            ("phrases", pa.list_(pa.string())),
        ]
    )


def is_canonical(row: Mapping[str, Any]) -> bool:
    """Whether a row has an id, hypotheses with texts, and nothing that :func:`utterance_of` would not read."""
    if not {"id", "hypotheses"} <= row.keys() <= _UTTERANCE or not isinstance(row["id"], str):
        return False
    hypotheses = row["hypotheses"]
    return isinstance(hypotheses, list) and all(
        isinstance(each, dict)
        and "text" in each
        and each.keys() <= _HYPOTHESIS
        and isinstance(each.get("scores") or {}, dict)
        for each in hypotheses
    )


def utterance_of(row: Mapping[str, Any], place: Location) -> Utterance:
    """What a row in the canonical form says.

    Raises:
        InputError: it is no utterance.
    """
    known = {name: row.get(name) for name in Utterance.__struct_fields__}
    try:
        return msgspec.convert(without_null(known), Utterance)
    except msgspec.ValidationError as error:
        identity = row.get("id")
        raise place.error(str(error), identity if isinstance(identity, str) else None) from None


def without_null(value: Any) -> Any:
    """Without what Arrow writes where a record has no such field."""
    if isinstance(value, dict):
        return {name: without_null(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_null(part) for part in value]
    return value


class _Pieces:
    """A file that gives away what was written to it."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        """As files do."""
        self._pieces.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """As files do."""
        return self._size

    def flush(self) -> None:
        """As files do."""

    def close(self) -> None:
        """As files do."""

    def readable(self) -> bool:
        """As files do."""
        return False

    def writable(self) -> bool:
        """As files do."""
        return True

    def seekable(self) -> bool:
        """As files do."""
        return False

    def take(self) -> bytes:
        """What was written since it was last taken."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
