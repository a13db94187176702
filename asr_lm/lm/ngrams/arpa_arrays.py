"""From the text of an ARPA file to sorted arrays (:mod:`asr_lm.lm.ngrams.arrays`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.ngrams.arpa_reading import ArpaBlock, read_blocks
from asr_lm.lm.ngrams.arrays import NgramArrays, OrderTable, Rows
from asr_lm.lm.ngrams.word_numbers import WordNumbers

_ArpaBlocks = Iterator[ArpaBlock]


def read_arrays(path: str | Path) -> NgramArrays:
    """The model in an ARPA file.

    Of n-grams that are there twice the first counts.

    Raises:
        InputError: with the line: damaged, or an n-gram has a word that is no unigram, or begins with words that are
            no (n-1)-gram.
    """
    sections = groupby(read_blocks(path), key=lambda block: block.order)
    _, blocks = next(sections)
    numbers, unigrams = _unigrams(blocks)
    tables, words = [unigrams], WordNumbers(numbers)
    for _, blocks in sections:
        tables.append(_ngrams(blocks, words, tables))
    return NgramArrays([word.decode() for word in numbers], tuple(tables))


def _unigrams(blocks: _ArpaBlocks) -> tuple[dict[bytes, int], OrderTable]:
    """The number of every word, and the unigrams."""
    numbers: dict[bytes, int] = {}
    kept = []
    for block in blocks:
        words = block.lines.column(1)
        _check_utf8(words, block)
        fresh = [_is_new(word, numbers) for word in words]
        kept.append(_values(block, np.array(fresh, dtype=bool)))
    return numbers, OrderTable(None, *_columns(kept))


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
    keys, values = [], []
    for block in blocks:
        keys.append(_keys(block, numbers, below))
        values.append(_values(block, np.ones(len(block.lines), dtype=bool)))
    return _sorted(_joined(keys), *_columns(values))


def _values(block: ArpaBlock, kept: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    return block.log10_prob[kept], None if block.is_highest else block.log10_backoff[kept]


def _columns(
    values: Sequence[tuple[NDArray[np.float32], NDArray[np.float32] | None]],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    probs, weights = [prob for prob, _ in values], [weight for _, weight in values if weight is not None]
    return _joined(probs), _joined(weights) if weights else None


def _joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    """Pieces one after another; the list is emptied meanwhile, so that they are in memory once."""
    whole = np.empty(sum(map(len, pieces)), dtype=pieces[0].dtype)
    end = len(whole)
    while pieces:
        piece = pieces.pop()
        whole[end - len(piece) : end] = piece
        end -= len(piece)
    return whole


def _keys(block: ArpaBlock, numbers: WordNumbers, below: Sequence[OrderTable]) -> NDArray[np.int64]:
    """Keys of the n-grams of a block ``[lines]``."""
    # n-grams are sorted as a rule, so that many neighbours have one context, whose words are looked up once.
    fresh = block.lines.changes(range(1, block.order))
    contexts, last = _numbered(block, numbers, fresh)
    rows = _rows(contexts, len(numbers), below)[np.cumsum(fresh) - 1]
    if (rows < 0).any():
        line = int(np.flatnonzero(rows < 0)[0])
        context = _shown(block.words(line)[:-1])
        raise block.fault(f"the context {context} is not among the {block.order - 1}-grams", line)
    return rows * np.int64(len(numbers)) + last


def _numbered(
    block: ArpaBlock, numbers: WordNumbers, fresh: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Numbers of the words of contexts ``[fresh lines, order - 1]``, and of the last words ``[lines]``."""
    columns = np.arange(1, block.order + 1, dtype=np.int32)
    asked = np.repeat(fresh[:, None], block.order, axis=1)
    asked[:, -1] = True
    found = numbers.of(block.lines, (block.lines.first[:, None] + columns)[asked])
    if (found < 0).any():
        line, column = (int(place[(found < 0).argmax()]) for place in np.nonzero(asked))
        raise block.fault(f"{_shown([block.words(line)[column]])} is not among the unigrams", line)
    ends = np.cumsum(asked.sum(axis=1)) - 1
    of_context = np.ones(len(found), dtype=bool)
    of_context[ends] = False
    return found[of_context].reshape(-1, block.order - 1), found[ends]


def _rows(words: NDArray[np.int32], vocabulary_size: int, tables: Sequence[OrderTable]) -> Rows:
    """Rows of n-grams in the table of their order, -1 for one that is not there; words ``[ngrams, order]``."""
    rows: Rows = words[:, 0].astype(np.int64)
    for column, table in enumerate(tables[1:], 1):
        rows = table.find(rows * vocabulary_size + words[:, column])
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
