"""Feature tables on disk: a folder of Parquet shards.

A shard is one Parquet file, one row a hypothesis: ``utterance``, ``recording``, ``reference_words`` (null without a
reference), ``text``, ``substitutions``, ``deletions``, ``insertions`` (null without a reference) and ``feature.NAME``
for each feature. The kinds of the features stand in the file's metadata. Shards are written whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import atomic_write
from asr_lm.rescoring.features.table import NO_REFERENCE, Column, FeatureTable

if TYPE_CHECKING:
    import pyarrow

VERSION = 1
METADATA = b"asr_lm.feature_table"
FEATURE = "feature."
ERRORS = ("substitutions", "deletions", "insertions")


class _Header(msgspec.Struct, frozen=True):
    version: int
    columns: tuple[Column, ...]


def shard_path(folder: Path, number: int) -> Path:
    """File of one shard."""
    return folder / f"shard-{number:05d}.parquet"


def write_shard(table: FeatureTable, folder: Path, number: int) -> None:
    """Write ``table`` as shard ``number`` of ``folder`` (made if need be), replacing an older one.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    from pyarrow import parquet

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made ({error.strerror})", file=folder) from None
    with atomic_write(shard_path(folder, number)) as stream:
        parquet.write_table(_to_arrow(table), stream, compression="zstd")


def read_shard(folder: Path, number: int) -> FeatureTable:
    """Read one shard back.

    Raises:
        InputError: the file is missing, damaged, no feature table or of another version.
    """
    import pyarrow
    from pyarrow import parquet

    path = shard_path(folder, number)
    try:
        # The file, not its path: a folder named like key=value would otherwise become a column.
        with open(path, "rb") as stream:
            return _from_arrow(parquet.read_table(stream))
    except FileNotFoundError:
        raise InputError("no such shard of a feature table", file=path) from None
    except (OSError, pyarrow.ArrowException, msgspec.MsgspecError, KeyError, ValueError) as error:
        raise InputError(f"damaged feature table, or none ({error})", file=path) from error


def _to_arrow(table: FeatureTable) -> pyarrow.Table:
    import pyarrow

    owner = table.lists.list_of_row
    unknown = ~table.referenced[owner]
    fields: dict[str, Any] = {
        "utterance": pyarrow.array(table.utterances).take(pyarrow.array(owner)),
        "recording": pyarrow.array(table.recordings, pyarrow.string()).take(pyarrow.array(owner)),
        "reference_words": pyarrow.array(table.reference_words[owner], mask=unknown),
        "text": pyarrow.array(table.texts),
    }
    fields |= {name: pyarrow.array(table.errors[:, i], mask=unknown) for i, name in enumerate(ERRORS)}
    fields |= {FEATURE + name: pyarrow.array(table.values[:, i]) for i, name in enumerate(table.names)}
    return pyarrow.table(fields, metadata={METADATA: msgspec.json.encode(_Header(VERSION, table.columns))})


def _from_arrow(data: pyarrow.Table) -> FeatureTable:
    header = msgspec.json.decode((data.schema.metadata or {})[METADATA], type=_Header)
    if header.version != VERSION:
        raise ValueError(f"version {header.version}, expected {VERSION}")
    owners = data["utterance"].to_pylist()
    starts = [row for row, name in enumerate(owners) if row == 0 or name != owners[row - 1]]
    features = [data[FEATURE + column.name].to_numpy() for column in header.columns]
    return FeatureTable(
        tuple(owners[row] for row in starts),
        tuple(data["recording"].take(starts).to_pylist()),
        np.array([*starts, len(owners)], dtype=np.int64),
        header.columns,
        np.asfortranarray(np.column_stack(features)) if features else np.zeros((len(owners), 0)),
        np.column_stack([_known(data[name]) for name in ERRORS]).astype(np.int32),
        _known(data["reference_words"].take(starts)),
        tuple(data["text"].to_pylist()),
    )


def _known(column: pyarrow.ChunkedArray) -> NDArray[np.int64]:
    """Counts, with -1 where there is none."""
    return column.fill_null(NO_REFERENCE).to_numpy().astype(np.int64)
