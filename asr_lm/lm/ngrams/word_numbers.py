"""Numbers of the words of an ARPA file, looked up for many n-grams at a time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.ngrams.arpa_lines import Lines

_REMEMBERED = 100_000


class WordNumbers:
    """Looks words up in a dictionary.

    Arrow finds the distinct words of a block, so that only these are looked up, and only those that the last blocks
    did not have.
    """

    def __init__(self, numbers: Mapping[bytes, int]) -> None:
        """Args: numbers: of every word."""
        import pyarrow as pa

        self._numbers = numbers
        self._words = pa.array([], pa.binary())
        self._found = np.zeros(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, lines: Lines, fields: NDArray[np.int32]) -> NDArray[np.int32]:
        """Numbers of some fields of lines, ascending; -1 for one that is no word ``[fields]``."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not len(fields):
            return np.zeros(0, dtype=np.int32)
        if len(self._words) > _REMEMBERED:
            self._words, self._found = self._words[:0], self._found[:0]
        chunks = pc.dictionary_encode(pa.chunked_array([self._words, lines.strings(fields, pa.binary())])).chunks
        coded = chunks[-1]
        codes = np.frombuffer(coded.indices.buffers()[1], dtype=np.int32, count=2 * len(fields))[::2]
        self._remember(coded.dictionary)
        return self._found[codes]

    def _remember(self, words: Any) -> None:
        """Look up the words that are new behind those remembered."""
        new = words[len(self._words) :].to_pylist()
        found = np.fromiter(map(self._numbers.get, new, repeat(-1)), dtype=np.int32, count=len(new))
        self._words, self._found = words, np.concatenate([self._found, found])
