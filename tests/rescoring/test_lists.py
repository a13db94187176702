from __future__ import annotations

import numpy as np
import pytest

from asr_lm.rescoring.features.lists import Lists

LISTS = Lists(np.array([0, 3, 4, 6]))


def test_the_first_of_equal_values_is_best() -> None:
    assert LISTS.best(np.array([1.0, 2.0, 2.0, -5.0, 0.0, 0.0])).tolist() == [1, 3, 4]


def test_softmax_sums_to_one_and_survives_large_values() -> None:
    probabilities = LISTS.softmax(np.array([1e5, 1e5 - 1, -1e5, 3.0, -1e300, 0.0]))
    np.testing.assert_allclose(LISTS.total(probabilities), 1)
    assert probabilities[0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert probabilities[4:].tolist() == [0.0, 1.0]


def test_ranks_and_owners() -> None:
    assert LISTS.rank.tolist() == [0, 1, 2, 0, 0, 1]
    assert LISTS.list_of_row.tolist() == [0, 0, 0, 1, 2, 2]


def test_rows_of_lists_come_in_the_order_named() -> None:
    assert LISTS.rows_of(np.array([2, 0])).tolist() == [4, 5, 0, 1, 2]
