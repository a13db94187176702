"""From the text of an ARPA file to sorted arrays (:mod:`asr_lm.lm.ngrams.arrays`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.ngrams.arpa_reading import ArpaBlock, read_blocks
from asr_lm.lm.ngrams.arrays import NgramArrays, OrderTable, Rows
from asr_lm.lm.ngrams.growing_array import GrowingArray
from asr_lm.lm.ngrams.word_numbers import WordNumbers
from asr_lm.prefetch import prefetched

_ArpaBlocks = Iterator[ArpaBlock]

_RANGES, _SAMPLE = 16, 4096


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
    for block, words in prefetched((block, _numbered(block, numbers)) for block in blocks):
        keys.add(_keys(block, words, len(numbers), below))
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


def _keys(
    block: ArpaBlock, words: NDArray[np.int32], vocabulary_size: int, below: Sequence[OrderTable]
) -> NDArray[np.int64]:
    """Keys of the n-grams of a block, whose words are known ``[order, lines]`` to ``[lines]``."""
    rows = _contexts(words[:-1], vocabulary_size, below)
    if (rows < 0).any():
        line = int(np.flatnonzero(rows < 0)[0])
        context = _shown(block.words(line)[:-1])
        raise block.fault(f"the context {context} is not among the {block.order - 1}-grams", line)
    return rows * np.int64(vocabulary_size) + words[-1]


def _contexts(words: NDArray[np.int32], vocabulary_size: int, tables: Sequence[OrderTable]) -> Rows:
    """Rows of the contexts of n-grams, as :func:`_rows`."""
    # Looked up in the order of the tables, or the memory's latency would take most of the time: not every file has that
    # order, those of lmplz are ordered by their last words. Neighbours with one context look it up once.
    first = words[0] * np.int64(vocabulary_size) + words[min(1, len(words) - 1)]
    order = slice(None) if (first[1:] >= first[:-1]).all() else np.argsort(first)
    words = words[:, order]
    fresh = np.ones(words.shape[1], dtype=bool)
    fresh[1:] = (words[:, 1:] != words[:, :-1]).any(axis=0)
    rows = np.empty(words.shape[1], dtype=np.int64)
    rows[order] = _rows(words[:, fresh], vocabulary_size, tables)[np.cumsum(fresh) - 1]
    return rows


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
        order = _ascending(keys)
        keys.sort()
        if not (fresh := _first(keys)).all():
            order, keys = order[fresh], keys[fresh]
        log10_prob = log10_prob[order]
        log10_backoff = None if log10_backoff is None else log10_backoff[order]
    return OrderTable(keys, log10_prob, log10_backoff)


def _ascending(keys: NDArray[np.int64]) -> NDArray[np.int32]:
    """Where the smallest key is, the next one, and so on; of equal ones the first comes first ``[keys]``.

    A range of keys at a time, which takes half of the memory that sorting all places at once does.
    """
    sample = np.sort(keys[:: max(1, len(keys) // _SAMPLE)])
    bounds = [keys.min(), *sample[len(sample) // _RANGES :: max(1, len(sample) // _RANGES)].tolist(), keys.max() + 1]
    order = np.empty(len(keys), dtype=np.int32)
    end = 0
    for least, beyond in pairwise(bounds):
        places = np.flatnonzero((keys >= least) & (keys < beyond)).astype(np.int32)
        inside = keys[places]
        found = np.argsort(inside)
        if not _first(inside[found]).all():
            found = np.lexsort((places, inside))
        order[end : end + len(places)] = places[found]
        end += len(places)
    return order


def _first(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a key is the first of its kind."""
    return np.append(True, keys[1:] != keys[:-1])


def _shown(words: Sequence[bytes]) -> str:
    return repr(b" ".join(words).decode(errors="replace"))
