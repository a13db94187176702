"""Sizes of lists are drawn as often as they were counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from asr_lm.lm.training.list_sizes import ListSizes


def test_sizes_are_drawn_as_often_as_they_were_counted() -> None:
    sizes, random = ListSizes(Counter({5: 6, 1: 3, 100: 1})), np.random.default_rng(0)
    drawn = Counter(sizes.draw(random) for _ in range(10_000))
    assert {size: count / 10_000 for size, count in drawn.items()} == pytest.approx(
        {5: 0.6, 1: 0.3, 100: 0.1}, abs=0.02
    )


def test_one_size() -> None:
    assert ListSizes(Counter([7])).draw(np.random.default_rng(0)) == 7
