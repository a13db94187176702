"""A file of n-gram arrays beside an ARPA file, so that the text of a large model is read once.

The file is in the safetensors format: the length of the header (8 bytes, little-endian), the header as JSON, the data.
Its metadata say which file it was made of, by size and digest, and give a checksum of the data. It is mapped into
memory, so that several processes share it. A file that is of another version, of another source or damaged is made
again; one that cannot be written is gone without.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import atomic_write
from asr_lm.lm.ngrams.arpa_arrays import read_arrays
from asr_lm.lm.ngrams.arrays import NgramArrays, OrderTable

WORTH_WRITING = 1_000_000
"""n-grams of a model whose ARPA file takes a noticeable time to read."""

SUFFIX = ".arrays"

_FORMAT = {"format": "asr_lm n-gram arrays", "version": "1"}
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 1 << 20
_TYPES: dict[str, Any] = {"I64": np.dtype("<i8"), "F32": np.dtype("<f4"), "U8": np.dtype("u1")}
_WORDS, _KEYS, _PROB, _BACKOFF = "words", "keys.", "log10_prob.", "log10_backoff."


class _Unfit(Exception):
    """The file is damaged, or not of the source."""


def load_arrays(path: Path, digest: str) -> NgramArrays:
    """The model in an ARPA file, from the arrays beside it where there are any; of a large model they are written.

    Args:
        path: of the ARPA file.
        digest: of its content.

    Raises:
        InputError: as :func:`asr_lm.lm.ngrams.arpa_arrays.read_arrays`.
    """
    place, source = arrays_path(path), _source(path, digest)
    try:
        return _read(place, source)
    except (OSError, _Unfit):
        arrays = read_arrays(path)
    if sum(arrays.counts) >= WORTH_WRITING:
        try:
            _write(place, arrays, source)
        except InputError:  # a folder that cannot be written, a full disk: the text is read again next time
            return arrays
    return arrays


def arrays_path(path: Path) -> Path:
    """Where the arrays of an ARPA file are."""
    return path.with_name(path.name + SUFFIX)


def _source(path: Path, digest: str) -> dict[str, str]:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    return {"source_bytes": str(size), "source_digest": digest}


def _tensors(arrays: NgramArrays) -> dict[str, NDArray[Any]]:
    """What is written, the widest numbers first so that each stands where its width divides the offset."""
    orders = list(enumerate(arrays.tables, 1))
    tensors: dict[str, NDArray[Any]] = {f"{_KEYS}{n}": table.keys for n, table in orders if table.keys is not None}
    tensors |= {f"{_PROB}{n}": table.log10_prob for n, table in orders}
    tensors |= {f"{_BACKOFF}{n}": table.log10_backoff for n, table in orders if table.log10_backoff is not None}
    return tensors | {_WORDS: np.frombuffer("\n".join(arrays.words).encode(), dtype=np.uint8)}


def _write(path: Path, arrays: NgramArrays, source: dict[str, str]) -> None:
    tensors = _tensors(arrays)
    names = {dtype: name for name, dtype in _TYPES.items()}
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": names[tensor.dtype], "shape": [len(tensor)], "data_offsets": [begin, end]}
    header["__metadata__"] = {**_FORMAT, **source, "checksum": _checksum(header, *tensors.values())}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as stream:
        stream.write(_LENGTH.pack(len(text)) + text)
        for tensor in tensors.values():
            stream.write(tensor.data)


def _read(path: Path, source: dict[str, str]) -> NgramArrays:
    """The arrays of a file.

    Raises:
        OSError: it cannot be opened.
        _Unfit: see there.
    """
    with path.open("rb") as stream:
        size = path.stat().st_size
        if size <= _LENGTH.size:
            raise _Unfit
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        tensors = dict(_mapped(mapped, source))
        return _arrays(tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Unfit from error


def _mapped(mapped: mmap.mmap, source: dict[str, str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and content of every tensor."""
    (length,) = _LENGTH.unpack_from(mapped)
    begin = _LENGTH.size + length
    if length > _LONGEST_HEADER or begin > len(mapped):
        raise _Unfit
    header = json.loads(mapped[_LENGTH.size : begin])
    metadata = header.pop("__metadata__")
    if metadata != {**_FORMAT, **source, "checksum": _checksum(header, memoryview(mapped)[begin:])}:
        raise _Unfit
    for name, entry in header.items():
        (count,), (offset, _) = entry["shape"], entry["data_offsets"]
        yield name, np.frombuffer(mapped, dtype=_TYPES[entry["dtype"]], count=count, offset=begin + offset)


def _arrays(tensors: dict[str, NDArray[Any]]) -> NgramArrays:
    words = tensors[_WORDS].tobytes().decode().split("\n")
    orders = range(1, 1 + sum(name.startswith(_PROB) for name in tensors))
    tables = [
        OrderTable(
            None if order == 1 else tensors[f"{_KEYS}{order}"],
            tensors[f"{_PROB}{order}"],
            None if order == len(orders) else tensors[f"{_BACKOFF}{order}"],
        )
        for order in orders
    ]
    if len(tables[0]) != len(words):
        raise _Unfit
    return NgramArrays(words, tuple(tables))


def _checksum(header: dict[str, Any], *data: Any) -> str:
    checksum = hashlib.blake2b(json.dumps(header).encode(), digest_size=16)
    for part in data:
        checksum.update(part)
    return checksum.hexdigest()
