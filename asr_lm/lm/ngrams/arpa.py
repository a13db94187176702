"""The ARPA format of back-off models: written fast, read with care.

Format (SRILM manual, ngram-format(5)): a ``\\data\\`` section with the number of n-grams of every order, a section
``\\n-grams:`` for each order with lines ``log10 probability <tab> words [<tab> log10 back-off weight]``, ``\\end\\``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.lm.ngrams.kneser_ney import NgramTable

_CHUNK = 500_000
_LN_10 = math.log(10)
_COUNT_LINE = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)\s*\Z")


@dataclass(frozen=True)
class ArpaEntry:
    """One n-gram of an ARPA file.

    Attributes:
        words: the n-gram.
        log_prob: natural log p(last word | the words before it).
        log_backoff: natural log of the back-off weight; 0 where the file gives none.
    """

    words: tuple[str, ...]
    log_prob: float
    log_backoff: float


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


def read_arpa(path: str | Path) -> Iterator[ArpaEntry]:
    """Yield the n-grams of an ARPA file in its order.

    Raises:
        InputError: with the line: the file does not follow the format, ends early, or has a probability above 1.
    """
    lines = iterate_text(path)
    for order, count in enumerate(_read_header(lines, path), 1):
        _expect(f"\\{order}-grams:", lines, path)
        for _ in range(count):
            number, line = _next_line(lines, path)
            yield _entry(line, order, path, number)
    _expect("\\end\\", lines, path)


def read_counts(path: str | Path) -> list[int]:
    """The number of n-grams of order 1, 2, … that the header of an ARPA file gives.

    Raises:
        InputError: there is no such header.
    """
    return _read_header(iterate_text(path), path)


def _read_header(lines: Iterator[tuple[int, str]], path: str | Path) -> list[int]:
    counts: list[int] = []
    inside = False
    for number, line in lines:
        line = line.strip()
        if inside and not line:
            if not counts:
                raise _fault("expected ngram 1=COUNT", path, number)
            return counts
        if not inside and line and not line.startswith("#"):
            if line != "\\data\\":
                raise _fault(f"not an ARPA file: expected \\data\\, found {line[:40]!r}", path, number)
            inside = True
        elif inside:
            match = _COUNT_LINE.match(line)
            if not match or int(match[1]) != len(counts) + 1:
                raise _fault(f"expected ngram {len(counts) + 1}=COUNT, found {line[:40]!r}", path, number)
            counts.append(int(match[2]))
    raise InputError("not an ARPA file: no header", file=display_name(path))


def _next_line(lines: Iterator[tuple[int, str]], path: str | Path) -> tuple[int, str]:
    """The next line that is not blank."""
    for number, line in lines:
        if line.strip():
            return number, line
    raise InputError("damaged ARPA file: it ends before \\end\\", file=display_name(path))


def _expect(heading: str, lines: Iterator[tuple[int, str]], path: str | Path) -> None:
    number, line = _next_line(lines, path)
    if line.rstrip() != heading:
        raise _fault(f"expected {heading}, found {line[:40]!r}", path, number)


def _entry(line: str, order: int, path: str | Path, number: int) -> ArpaEntry:
    fields = line.split("\t")
    words = tuple(fields[1].split(" ")) if len(fields) > 1 else ()
    if len(fields) not in (2, 3) or len(words) != order or "" in words:
        raise _fault(f"expected a probability, {order} words and perhaps a back-off weight", path, number)
    try:
        log_prob = float(fields[0])
        log_backoff = float(fields[2]) if len(fields) == 3 else 0.0
    except ValueError:
        raise _fault("the probability or the back-off weight is not a number", path, number) from None
    if not log_prob <= 0:
        raise _fault(f"log10 probability {log_prob} is above 0", path, number)
    if not math.isfinite(log_backoff):
        raise _fault(f"back-off weight {log_backoff} is not finite", path, number)
    return ArpaEntry(words, log_prob * _LN_10, log_backoff * _LN_10)


def _fault(message: str, path: str | Path, line: int) -> InputError:
    return InputError(f"damaged ARPA file: {message}", file=display_name(path), line=line)
