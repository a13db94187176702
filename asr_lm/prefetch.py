"""Items of a stream, of which a thread makes the next one while one is worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetched(items: Iterable[Item]) -> Iterator[Item]:
    """The items in their order; what their stream raises is raised after those before it.

    >>> list(prefetched("abc"))
    ['a', 'b', 'c']
    """
    stream = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, stream, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, stream, _END)
            yield item  # type: ignore[misc]
