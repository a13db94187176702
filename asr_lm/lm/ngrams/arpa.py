"""Writing back-off models in the ARPA format.

Format (SRILM manual, ngram-format(5)): a ``\\data\\`` section with the number of n-grams of every order, a section
``\\n-grams:`` for each order with lines ``log10 probability <tab> words [<tab> log10 back-off weight]``, ``\\end\\``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.ngrams.kneser_ney import NgramTable

_CHUNK = 500_000
_LN_10 = math.log(10)


def write_arpa(stream: BinaryIO, tables: Sequence[NgramTable], tokens: Sequence[str]) -> None:
    """Write a back-off model.

    Args:
        stream: where to.
        tables: n-grams of order 1, 2, ….
        tokens: the string of every token id.
    """
    header = "".join(f"ngram {order}={len(table)}\n" for order, table in enumerate(tables, 1))
    stream.write(f"\\data\\\n{header}\n".encode())
    for order in range(1, len(tables) + 1):
        stream.write(f"\\{order}-grams:\n".encode())
        _write_section(stream, tables[:order], tokens)
        stream.write(b"\n")
    stream.write(b"\\end\\\n")


def _write_section(stream: BinaryIO, tables: Sequence[NgramTable], tokens: Sequence[str]) -> None:
    import pyarrow as pa

    strings = pa.array(tokens, pa.string())
    for start in range(0, len(tables[-1]), _CHUNK):
        stream.write(_lines(tables, slice(start, start + _CHUNK), strings))


def _lines(tables: Sequence[NgramTable], rows: slice, strings: Any) -> memoryview:
    """The lines of some rows of the last table as bytes, put together by Arrow's string kernels."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = tables[-1]
    words = pc.binary_join_element_wise(*[strings.take(pa.array(ids)) for ids in _words(tables, rows)], " ")
    columns = [_log10(table.log_prob[rows]), words]
    if table.log_backoff is not None:
        columns.append(_log10(table.log_backoff[rows]))
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, "\t"), "", "\n")
    return memoryview(lines.buffers()[2])


def _words(tables: Sequence[NgramTable], rows: slice) -> list[NDArray[np.integer]]:
    """Token ids of each position of the n-grams of the last table."""
    words = [tables[-1].word[rows]]
    context = tables[-1].context[rows]
    for table in reversed(tables[:-1]):
        words.append(table.word[context])
        context = table.context[context]
    return words[::-1]


def _log10(values: NDArray[np.float32]) -> Any:
    """Shortest decimals that read back as the same float32."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(pa.array((values / _LN_10).astype(np.float32)), pa.string())
