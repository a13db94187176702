"""Numbers of the words of an ARPA file, looked up for all n-grams of a block at once.

Words are told apart by 64-bit hashes, of which all bytes of many words are computed together; those of a model's words
are distinct, or others are computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.ngrams.arpa_lines import Lines

Hashes = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_WIDTH = 8
_FIRST_BYTES = np.array([(1 << 8 * size) - 1 for size in range(_WIDTH + 1)], dtype=np.uint64)
_LONG = 8 * _WIDTH
"""Bytes of words that are hashed one by one."""
_EMPTY = -1
_SLOTS_A_WORD = 2


class WordNumbers:
    """A hash table with open addressing: a word's number is in the first slot from its hash on that has its hash."""

    def __init__(self, words: Sequence[bytes]) -> None:
        """Args: words: distinct ones without white space; the number of each is its place."""
        lines = Lines.cut(b"".join(word + b"\n" for word in words))
        self._count = len(words)
        for self._seed in count():
            hashes = word_hashes(lines, lines.first, self._seed)
            if len(np.unique(hashes)) == len(words):
                break
        slots = 1 << (_SLOTS_A_WORD * max(1, len(words))).bit_length()
        self._mask = np.int64(slots - 1)
        self._hashes, self._numbers = np.zeros(slots, dtype=np.uint64), np.full(slots, _EMPTY, dtype=np.int32)
        self._fill(hashes)

    def __len__(self) -> int:
        return self._count

    def _fill(self, hashes: Hashes) -> None:
        numbers, slots = np.arange(len(hashes), dtype=np.int32), self._slots(hashes)
        while len(numbers):
            free = self._numbers[slots] == _EMPTY
            self._numbers[slots[free]] = numbers[free]
            placed = self._numbers[slots] == numbers
            self._hashes[slots[placed]] = hashes[numbers[placed]]
            numbers, slots = numbers[~placed], (slots[~placed] + 1) & self._mask

    def _slots(self, hashes: Hashes) -> NDArray[np.int64]:
        return hashes.view(np.int64) & self._mask

    def of(self, lines: Lines, fields: NDArray[np.int32]) -> NDArray[np.int32]:
        """Numbers of some fields of lines; -1 for one that is no word ``[fields]``."""
        hashes = word_hashes(lines, fields, self._seed)
        slots = self._slots(hashes)
        found = self._numbers.take(slots)
        others = self._others(slots, hashes, found).nonzero()[0]
        slots = slots[others]
        while len(others):
            slots = (slots + 1) & self._mask
            found[others] = self._numbers.take(slots)
            passed = self._others(slots, hashes.take(others), found.take(others))
            others, slots = others[passed], slots[passed]
        return found

    def _others(self, slots: NDArray[np.int64], hashes: Hashes, found: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether another word is in a slot."""
        return (self._hashes.take(slots) != hashes) & (found != _EMPTY)


def word_hashes(lines: Lines, fields: NDArray[np.int32], seed: int) -> Hashes:
    """Hashes of some fields of lines, of eight bytes at a time ``[fields]``."""
    begin = lines.begin.take(fields)
    length = lines.end.take(fields) - begin
    # A number of eight bytes from every offset on, which no field's first bytes run out of.
    padded = lines.text + bytes(_WIDTH)
    numbers: Hashes = np.ndarray((len(lines.text),), "<u8", padded, strides=(1,))
    hashes = numbers[begin]
    hashes &= _FIRST_BYTES.take(np.minimum(length, _WIDTH))
    _mix(hashes, seed)
    rows, at = (length > _WIDTH).nonzero()[0], _WIDTH
    while len(rows) and at < _LONG:
        more = numbers[begin.take(rows) + at] & _FIRST_BYTES.take(np.minimum(length.take(rows) - at, _WIDTH))
        more ^= hashes.take(rows)
        _mix(more, seed + at)
        hashes[rows] = more
        at += _WIDTH
        rows = rows[length.take(rows) > at]
    for row in rows.tolist():
        digest = hashlib.blake2b(
            lines.field(int(fields[row])), digest_size=_WIDTH, salt=seed.to_bytes(_WIDTH, "little")
        )
        hashes[row] = int.from_bytes(digest.digest(), "little")
    return hashes


def _mix(hashes: Hashes, added: int) -> None:
    hashes += np.uint64(added)
    hashes *= _MULTIPLIER
    hashes ^= hashes >> _HALF
