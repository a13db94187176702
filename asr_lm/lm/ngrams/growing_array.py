"""An array that grows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FIRST_SIZE = 1 << 16


class GrowingArray:
    """Values that come in pieces; an eighth more than there are is in memory at most.

    A large array grows where it is or by moving its pages, so that nothing is copied.
    """

    def __init__(self, kind: DTypeLike) -> None:
        self._values = np.empty(_FIRST_SIZE, dtype=kind)
        self._count = 0

    def add(self, piece: NDArray[Any]) -> None:
        """Put values behind those that are there."""
        end = self._count + len(piece)
        if end > len(self._values):
            self._values.resize(end + end // 8, refcheck=False)
        self._values[self._count : end] = piece
        self._count = end

    def taken(self) -> NDArray[Any]:
        """All values; none are added after that."""
        self._values.resize(self._count, refcheck=False)
        return self._values
