"""Reading back-off models in the ARPA format, as every toolkit writes it.

Format: SRILM manual, ngram-format(5); :mod:`asr_lm.lm.ngrams.arpa` writes it. What others write is read, too: spaces
for tabs and runs of them (CMU-Cambridge, IRSTLM), text before ``\\data\\``, Windows line ends, blank lines, models of
unigrams alone, n-grams without a back-off column, a back-off column in the highest order (not read).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_blocks
from asr_lm.lm.ngrams.arpa_lines import Lines
from asr_lm.lm.ngrams.arrays import ZERO

_BLOCK = 1 << 20
_TAB = ord("\t")
_LONGEST_LINE = 1 << 20
_PREAMBLE = 1000
"""Lines before ``\\data\\`` at most."""

_LN_10 = math.log(10)
_COUNT_LINE = re.compile(r"ngram\s+(\d{1,2})\s*=\s*(\d{1,18})\Z", re.ASCII)
_ROUNDING = 1e-4
"""log10 of the largest probability above 1 that is taken for 1: IRSTLM rounds so."""

_INTERMEDIATE = ("iARPA", "qARPA")


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


@dataclass(frozen=True)
class ArpaBlock:
    """Some neighbouring n-grams of an ARPA file.

    Attributes:
        order: number of their words, which are columns 1 to ``order`` of the lines.
        is_highest: whether it is the highest order of the file.
        lines: as the file has them.
        log10_prob, log10_backoff: ``[lines]``.
        number: line number of the first byte of the block.
        path: of the file.
    """

    order: int
    is_highest: bool
    lines: Lines
    log10_prob: NDArray[np.float32]
    log10_backoff: NDArray[np.float32]
    number: int
    path: str | Path

    def words(self, line: int) -> list[bytes]:
        """The words of a line."""
        first = int(self.lines.first[line]) + 1
        return [self.lines.field(number) for number in range(first, first + self.order)]

    def fault(self, message: str, line: int) -> InputError:
        """What is to be raised about a line."""
        return _fault(message, self.path, self.number + self.lines.number_of(line))


def read_arpa(path: str | Path) -> Iterator[ArpaEntry]:
    """Yield the n-grams of an ARPA file in its order.

    Raises:
        InputError: with the line: the file does not follow the format, ends early, or has a probability above 1.
    """
    for block in read_blocks(path):
        values = zip(block.log10_prob.tolist(), block.log10_backoff.tolist(), strict=True)
        for line, (log10_prob, log10_backoff) in enumerate(values):
            try:
                words = tuple(word.decode() for word in block.words(line))
            except UnicodeDecodeError as error:
                raise block.fault(f"not UTF-8 ({error.reason})", line) from None
            yield ArpaEntry(words, log10_prob * _LN_10, log10_backoff * _LN_10)


def read_counts(path: str | Path) -> list[int]:
    """The number of n-grams of order 1, 2, … that the header of an ARPA file gives.

    Raises:
        InputError: there is no such header.
    """
    return _read_header(_Text(path))


def read_blocks(path: str | Path) -> Iterator[ArpaBlock]:
    """Yield the n-grams of an ARPA file in its order, many at a time; of every order at least one block.

    Raises:
        InputError: as :func:`read_arpa`.
    """
    text = _Text(path)
    counts = _read_header(text)
    for order, count in enumerate(counts, 1):
        _expect(f"\\{order}-grams:", text)
        for number, lines in text.blocks(count) if count else [(text.number, Lines.cut(b""))]:
            yield _block(order, order == len(counts), lines, number, path)
    _expect("\\end\\", text)


class _Text:
    """A file's text, from which lines and blocks of lines are taken.

    Attributes:
        number: of the next line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.number = 1
        self._blocks = iterate_blocks(path, _BLOCK)
        self._text, self._at = b"", 0

    def line(self) -> tuple[int, str] | None:
        """The number of the next line, and the line without white space around it; None at the end of the file."""
        if not self._fill():
            return None
        end = self._text.index(b"\n", self._at)
        line, self._at, self.number = self._text[self._at : end], end + 1, self.number + 1
        return self.number - 1, line.decode(errors="replace").strip("\ufeff \t\r\0")

    def next_line(self) -> tuple[int, str]:
        """As :meth:`line`, but not a blank one."""
        while found := self.line():
            if found[1]:
                return found
        raise self._early_end()

    def blocks(self, count: int) -> Iterator[tuple[int, Lines]]:
        """The next ``count`` lines that are not blank, in blocks with the number of the line each begins in."""
        while count:
            if not self._fill():
                raise self._early_end()
            text = self._text[self._at : self._text.rindex(b"\n") + 1]
            lines = Lines.cut(text).head(count)
            count -= len(lines)
            yield self.number, lines
            end = len(text) if count else int(lines.line_end[-1]) + 1
            self._at += end
            self.number += lines.line_ends if count else text.count(b"\n", 0, end)

    def _fill(self) -> bool:
        """Have at least one whole line at hand; whether there is one."""
        while self._text.find(b"\n", self._at) < 0:
            rest = self._text[self._at :]
            if len(rest) > _LONGEST_LINE:
                raise _fault(f"a line of more than {_LONGEST_LINE:,} bytes", self.path, self.number)
            block = next(self._blocks, b"\n" if rest else b"")
            if not block:
                return False
            self._text, self._at = rest + block, 0
        return True

    def _early_end(self) -> InputError:
        return InputError("damaged ARPA file: it ends before \\end\\", file=display_name(self.path))


def _read_header(text: _Text) -> list[int]:
    _find_data(text)
    counts: list[int] = []
    while found := text.line():
        number, line = found
        if not line and counts:
            return counts
        match = _COUNT_LINE.match(line)
        if not match or int(match[1]) != len(counts) + 1:
            raise _fault(f"expected ngram {len(counts) + 1}=COUNT, found {line[:40]!r}", text.path, number)
        counts.append(int(match[2]))
    raise InputError("damaged ARPA file: it ends in its header", file=display_name(text.path))


def _find_data(text: _Text) -> None:
    """Read on to the line ``\\data\\``."""
    first: tuple[int, str] | None = None
    while (found := text.line()) and found[0] <= _PREAMBLE:
        if found[1] == "\\data\\":
            return
        if found[1] in _INTERMEDIATE:
            message = f"an intermediate {found[1]} file of IRSTLM; write ARPA with compile-lm --text=yes"
            raise InputError(message, file=display_name(text.path), line=found[0])
        if found[1] and not found[1].startswith("#"):
            first = first or found
    if first is None:
        raise InputError("not an ARPA file: no header", file=display_name(text.path))
    raise InputError(
        f"not an ARPA file: expected \\data\\, found {first[1][:40]!r}", file=display_name(text.path), line=first[0]
    )


def _expect(heading: str, text: _Text) -> None:
    number, line = text.next_line()
    if line != heading:
        raise _fault(f"expected {heading}, found {line[:40]!r}", text.path, number)


def _block(order: int, is_highest: bool, lines: Lines, number: int, path: str | Path) -> ArpaBlock:
    """Read the numbers of lines."""
    log10_prob = lines.numbers(lines.first)
    log10_backoff = np.zeros(len(lines), dtype=np.float32)
    weighted = lines.fields == order + 2
    log10_backoff[weighted] = lines.numbers((lines.first + np.int32(order + 1))[weighted])
    known = np.where(np.isneginf(log10_prob), np.float32(ZERO), np.minimum(log10_prob, np.float32(0)))
    block = ArpaBlock(order, is_highest, lines, known, log10_backoff, number, path)
    _check(block, weighted, log10_prob)
    return block


def _check(block: ArpaBlock, weighted: NDArray[np.bool_], log10_prob: NDArray[np.float32]) -> None:
    """Raise an error about the first line that is not as it should be."""
    lines = block.lines
    complete = weighted | (lines.fields == block.order + 1)
    complete[weighted] &= ~np.isnan(block.log10_backoff[weighted])
    # Where tabs separate the columns, a last word that looks like a number is no back-off weight.
    complete[weighted] &= (lines.after(lines.first) != _TAB)[weighted] | (
        lines.before((lines.first + np.int32(block.order + 1))[weighted]) == _TAB
    )
    possible, finite = log10_prob <= _ROUNDING, np.isfinite(block.log10_backoff)
    faulty = ~(complete & possible & finite)
    if not faulty.any():
        return
    line = int(faulty.argmax())
    if not complete[line]:
        raise block.fault(f"expected a probability, {counted(block.order, 'word')} and perhaps a back-off weight", line)
    if not possible[line]:
        written = lines.field(int(lines.first[line])).decode(errors="replace")
        raise block.fault(f"log10 probability {written} is above 0 or not a number", line)
    raise block.fault("the back-off weight is not finite", line)


def _fault(message: str, path: str | Path, line: int) -> InputError:
    return InputError(f"damaged ARPA file: {message}", file=display_name(path), line=line)
