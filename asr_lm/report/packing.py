"""Arrays inside a web page: compact, and exact to the last bit.

The page adds up the same doubles in the same order as :meth:`asr_lm.rescoring.weights.Weights.totals`, so the totals,
the ties and the error rates it shows are equal to those computed here. Nothing may therefore be rounded on the way.
A column becomes whole numbers where that loses nothing (counts; scores that a recogniser wrote with few decimals),
stored as differences of neighbours; any other column stays as doubles. Bytes of equal significance are put together,
which is what makes gzip find something to shorten.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

WHOLE_DECIMALS = 6
"""Decimals of a score up to which it is stored as a whole number."""

_LARGEST = 2**30


def pack_arrays(values: Mapping[str, NDArray[Any]], texts: Mapping[str, bytes], record: Any) -> str:
    """Base64 of gzip of: length of the header (4 bytes, little-endian), header (JSON), arrays and texts.

    Args:
        values: numbers ``[n]`` by name; finite.
        texts: UTF-8 by name.
        record: anything else, as JSON; stands in the header under ``record``.
    """
    parts: list[bytes] = []
    arrays = {}
    for name, array in values.items():
        description, data = _encoded(np.asarray(array))
        arrays[name] = description | {"length": len(array), "bytes": len(data)}
        parts.append(data)
    sizes = {name: len(text) for name, text in texts.items()}
    header = json.dumps({"arrays": arrays, "texts": sizes, "record": record}, ensure_ascii=False, allow_nan=False)
    head = header.encode()
    body = b"".join([len(head).to_bytes(4, "little"), head, *parts, *texts.values()])
    return base64.b64encode(gzip.compress(body, 6, mtime=0)).decode()


def unpack_arrays(packed: str) -> tuple[dict[str, NDArray[np.float64]], dict[str, bytes], Any]:
    """Inverse of :func:`pack_arrays`, as the page does it: numbers, texts, record."""
    body = gzip.decompress(base64.b64decode(packed))
    begin = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(body[4:begin])
    values, texts = {}, {}
    for name, description in header["arrays"].items():
        values[name] = _decoded(description, body[begin : begin + description["bytes"]])
        begin += description["bytes"]
    for name, size in header["texts"].items():
        texts[name] = body[begin : begin + size]
        begin += size
    return values, texts, header["record"]


def _encoded(values: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    if (found := _whole(values)) is None:
        return {"kind": "double", "width": 8}, _planes(values.astype("<f8"), 8)
    whole, scale = found
    differences = np.diff(whole, prepend=0)
    largest = int(np.abs(differences).max(initial=0))
    width = 1 if largest < 2**7 else 2 if largest < 2**15 else 4
    return {"kind": "whole", "width": width, "scale": scale}, _planes(differences.astype(f"<i{width}"), width)


def _whole(values: NDArray[Any]) -> tuple[NDArray[np.int64], int] | None:
    """Whole numbers and what to divide them by to get exactly ``values``; None where there are none."""
    values = values.astype(np.float64)
    for decimals in range(WHOLE_DECIMALS + 1):
        scale = 10**decimals
        # Rounded division of whole numbers is what reading a decimal number is, so it gives the same double.
        whole = np.rint(values * scale)
        if np.abs(whole).max(initial=0.0) >= _LARGEST:
            return None
        if (whole / scale == values).all():
            return whole.astype(np.int64), scale
    return None


def _planes(values: NDArray[Any], width: int) -> bytes:
    """All first bytes, then all second bytes, and so on."""
    return values.view(np.uint8).reshape(-1, width).T.tobytes()


def _decoded(description: Mapping[str, Any], data: bytes) -> NDArray[np.float64]:
    width = description["width"]
    planes = np.frombuffer(data, np.uint8).reshape(width, -1).T
    joined = np.ascontiguousarray(planes).reshape(-1)
    if description["kind"] == "double":
        return joined.view("<f8")
    return np.cumsum(joined.view(f"<i{width}").astype(np.int64)) / description["scale"]
