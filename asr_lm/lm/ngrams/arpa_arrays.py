"""From the text of an ARPA file to sorted arrays (:mod:`asr_lm.lm.ngrams.arrays`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.ngrams.arpa_reading import ArpaBlock, read_blocks
from asr_lm.lm.ngrams.arrays import NgramArrays, OrderTable, Rows
from asr_lm.lm.ngrams.growing_array import GrowingArray
from asr_lm.lm.ngrams.word_numbers import WordNumbers
from asr_lm.prefetch import prefetched

_ArpaBlocks = Iterator[ArpaBlock]


def read_arrays(path: str | Path) -> NgramArrays:
    """The model in an ARPA file.

    Of n-grams that are there twice the first counts.

    Raises:
        InputError: with the line: damaged, or an n-gram has a word that is no unigram, or begins with words that are
            no (n-1)-gram.
    """
    sections = groupby(prefetched(read_blocks(path)), key=lambda block: block.order)
    _, blocks = next(sections)
    words, unigrams = _unigrams(blocks)
    numbers, tables = WordNumbers(words), [unigrams]
    for _, blocks in sections:
        tables.append(_ngrams(blocks, numbers, tables))
    return NgramArrays([word.decode() for word in words], tuple(tables))


def _unigrams(blocks: _ArpaBlocks) -> tuple[list[bytes], OrderTable]:
    """The words in order of their numbers, and the unigrams."""
    numbers: dict[bytes, int] = {}
    values = _Values()
    for block in blocks:
        words = block.lines.column(1)
        _check_utf8(words, block)
        values.add(block, np.array([_is_new(word, numbers) for word in words], dtype=bool))
    return list(numbers), OrderTable(None, *values.taken())


def _is_new(word: bytes, numbers: dict[bytes, int]) -> bool:
    """Number a word unless it has a number."""
    count = len(numbers)
    numbers.setdefault(word, count)
    return len(numbers) > count


def _check_utf8(words: Sequence[bytes], block: ArpaBlock) -> None:
    with contextlib.suppress(UnicodeDecodeError):
        b"\n".join(words).decode()
        return
    for line, word in enumerate(words):
        try:
            word.decode()
        except UnicodeDecodeError as error:
            raise block.fault(f"not UTF-8 ({error.reason})", line) from None


def _ngrams(blocks: _ArpaBlocks, numbers: WordNumbers, below: Sequence[OrderTable]) -> OrderTable:
    """The table above some tables."""
    keys, values = GrowingArray(np.int64), _Values()
    for block in blocks:
        keys.add(_keys(block, numbers, below))
        values.add(block)
    return _sorted(keys.taken(), *values.taken())


class _Values:
    """The numbers of one order's lines."""

    def __init__(self) -> None:
        self._log10_prob, self._log10_backoff = GrowingArray(np.float32), GrowingArray(np.float32)
        self._is_highest = False

    def add(self, block: ArpaBlock, kept: NDArray[np.bool_] | slice = slice(None)) -> None:
        """Those of some lines of a block."""
        self._log10_prob.add(block.log10_prob[kept])
        self._is_highest = block.is_highest
        if not block.is_highest:
            self._log10_backoff.add(block.log10_backoff[kept])

    def taken(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Probabilities, and back-off weights where the order has any."""
        return self._log10_prob.taken(), None if self._is_highest else self._log10_backoff.taken()


def _keys(block: ArpaBlock, numbers: WordNumbers, below: Sequence[OrderTable]) -> NDArray[np.int64]:
    """Keys of the n-grams of a block ``[lines]``."""
    words = _numbered(block, numbers)
    # n-grams are sorted as a rule, so that many neighbours have one context, which is looked up once.
    fresh = np.ones(len(block.lines), dtype=bool)
    fresh[1:] = (words[:-1, 1:] != words[:-1, :-1]).any(axis=0)
    rows = _rows(words[:-1, fresh], len(numbers), below)[np.cumsum(fresh) - 1]
    if (rows < 0).any():
        line = int(np.flatnonzero(rows < 0)[0])
        context = _shown(block.words(line)[:-1])
        raise block.fault(f"the context {context} is not among the {block.order - 1}-grams", line)
    return rows * np.int64(len(numbers)) + words[-1]


def _numbered(block: ArpaBlock, numbers: WordNumbers) -> NDArray[np.int32]:
    """Numbers of the words of a block ``[order, lines]``."""
    fields = block.lines.first + np.arange(1, block.order + 1, dtype=np.int32)[:, None]
    found = numbers.of(block.lines, fields.ravel()).reshape(fields.shape)
    if (found < 0).any():
        line = int((found < 0).any(axis=0).argmax())
        column = int((found[:, line] < 0).argmax())
        raise block.fault(f"{_shown([block.words(line)[column]])} is not among the unigrams", line)
    return found


def _rows(words: NDArray[np.int32], vocabulary_size: int, tables: Sequence[OrderTable]) -> Rows:
    """Rows of n-grams in the table of their order, -1 for one that is not there; words ``[order, ngrams]``."""
    rows: Rows = words[0].astype(np.int64)
    for last, table in zip(words[1:], tables[1:], strict=True):
        rows = table.find(rows * vocabulary_size + last)
    return rows


def _sorted(
    keys: NDArray[np.int64], log10_prob: NDArray[np.float32], log10_backoff: NDArray[np.float32] | None
) -> OrderTable:
    if (keys[1:] <= keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        order, keys = order[_first(keys)], keys[_first(keys)]
        log10_prob = log10_prob[order]
        log10_backoff = None if log10_backoff is None else log10_backoff[order]
    return OrderTable(keys, log10_prob, log10_backoff)


def _first(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a key is the first of its kind."""
    return np.append(True, keys[1:] != keys[:-1])


def _shown(words: Sequence[bytes]) -> str:
    return repr(b" ".join(words).decode(errors="replace"))
