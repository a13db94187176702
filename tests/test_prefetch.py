"""Items made ahead: in order, with what their stream raises, and no further ahead than one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asr_lm.prefetch import prefetched


def test_order_and_errors_are_those_of_the_stream() -> None:
    def stream() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the fourth")

    items = prefetched(stream())
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(items)


def test_one_item_is_made_ahead_and_the_stream_may_be_left() -> None:
    made = []

    def stream() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    items = prefetched(stream())
    assert [next(items), next(items)] == [0, 1]
    items.close()  # type: ignore[attr-defined]
    assert len(made) <= 3
