"""How many hypotheses the lists of a recogniser have, as lists of corrupted texts have them, too."""

from __future__ import annotations

from collections import Counter

import numpy as np


class ListSizes:
    """Numbers of hypotheses with the share of lists that have so many.

    Args:
        counts: lists by their number of hypotheses, at least one.
    """

    def __init__(self, counts: Counter[int]) -> None:
        total = sum(counts.values())
        self._sizes = np.array(sorted(counts))
        self._shares = np.cumsum([counts[size] / total for size in sorted(counts)])

    def draw(self, random: np.random.Generator) -> int:
        """A number of hypotheses."""
        return int(self._sizes[np.searchsorted(self._shares, random.random() * self._shares[-1])])
