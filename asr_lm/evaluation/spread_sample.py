"""A few items spread evenly over a stream of unknown length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class SpreadSample(Generic[Item]):
    """Every ``2 ** k``-th item of a stream, from the first on, with the least ``k`` that keeps no more than ``most``.

    Args:
        most: items kept, at least 2.

    >>> sample = SpreadSample(4)
    >>> sample.extend("abcdefg")
    >>> sample.items
    ['a', 'c', 'e', 'g']
    """

    def __init__(self, most: int) -> None:
        self.items: list[Item] = []
        self._most, self._step, self._count = most, 1, 0

    def extend(self, items: Iterable[Item]) -> None:
        """The next items."""
        for item in items:
            if self._count % self._step == 0:
                self.items.append(item)
            self._count += 1
            if len(self.items) > self._most:
                self.items, self._step = self.items[::2], 2 * self._step
