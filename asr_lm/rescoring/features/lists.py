"""Arithmetic on many n-best lists at once.

The hypotheses of all lists lie one after the other in flat arrays ``[rows]``; list ``i`` is the stretch
``offsets[i]:offsets[i + 1]``. Every operation here runs over all lists without a Python loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""One number a row ``[rows]`` or a list ``[lists]``."""

Rows = NDArray[np.int64]
"""Row numbers."""

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Lists:
    """Where each list begins and ends.

    Attributes:
        offsets: ``[lists + 1]``, strictly increasing from 0: every list holds at least one row.
    """

    offsets: Rows

    @cached_property
    def starts(self) -> Rows:
        """First row of each list ``[lists]``."""
        return self.offsets[:-1]

    @cached_property
    def lengths(self) -> Rows:
        """Rows of each list ``[lists]``."""
        return np.diff(self.offsets)

    @cached_property
    def list_of_row(self) -> Rows:
        """Which list each row belongs to ``[rows]``."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def rank(self) -> Rows:
        """Place of each row in its list, from 0 ``[rows]``."""
        return np.arange(self.offsets[-1]) - np.repeat(self.starts, self.lengths)

    def per_row(self, per_list: NDArray[T]) -> NDArray[T]:
        """Give every row the value of its list: ``[lists]`` to ``[rows]``."""
        return np.repeat(per_list, self.lengths)

    def total(self, values: Values) -> Values:
        """Sum over each list ``[lists]``."""
        return np.add.reduceat(values, self.starts)

    def best(self, values: Values) -> Rows:
        """Row with the largest value of each list ``[lists]``; of equal ones the first."""
        top = np.maximum.reduceat(values, self.starts)
        hits = np.flatnonzero(values == np.repeat(top, self.lengths))
        return hits if len(hits) == len(top) else hits[np.searchsorted(hits, self.starts)]

    def steepest(self, values: Values, slopes: Values) -> Rows:
        """Row with the largest slope of each list ``[lists]``; of equal slopes the largest value, then the first."""
        top = np.maximum.reduceat(slopes, self.starts)
        tied = np.flatnonzero(slopes == np.repeat(top, self.lengths))
        if len(tied) == len(top):
            return tied
        offsets = np.append(np.searchsorted(tied, self.starts), len(tied))
        return tied[Lists(offsets).best(values[tied])]

    def centred(self, values: Values) -> Values:
        """Differences to the first row of each list ``[rows]``: constants added to a list vanish."""
        return values - np.repeat(values[self.starts], self.lengths)

    def softmax(self, values: Values) -> Values:
        """Probabilities proportional to ``exp(values)`` that sum to one over each list ``[rows]``."""
        weights = np.exp(values - np.repeat(np.maximum.reduceat(values, self.starts), self.lengths))
        return weights / np.repeat(self.total(weights), self.lengths)

    def rows_of(self, lists: Rows) -> Rows:
        """The rows of the named lists, in the order named."""
        lengths = self.lengths[lists]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.repeat(self.starts[lists], lengths) + within
