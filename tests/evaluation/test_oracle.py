import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.evaluation.oracle import gap_closed, oracle, worst
from asr_lm.evaluation.word_errors import ErrorCounts, count_errors

LISTS = st.lists(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=5), max_size=6)


def table(lists):
    counts = np.array([[*row, 9] for rows in lists for row in rows], dtype=np.int32).reshape(-1, 4)
    return counts, np.cumsum([0] + [len(rows) for rows in lists])


@settings(max_examples=100, deadline=None)
@given(LISTS)
def test_the_first_of_the_fewest_and_of_the_most_errors(lists):
    counts, offsets = table(lists)
    sums = [[sum(row) for row in rows] for rows in lists]
    best = [start + rows.index(min(rows)) for start, rows in zip(offsets, sums, strict=False)]
    most = [start + rows.index(max(rows)) for start, rows in zip(offsets, sums, strict=False)]
    assert oracle(counts, offsets).tolist() == best
    assert worst(counts, offsets).tolist() == most


def test_a_list_of_texts():
    texts = ["a b", "a c", "a b c", "x y", "", "x"]
    counts = count_errors(["a c"] * 3 + ["x"] * 3, texts)
    assert [texts[row] for row in oracle(counts, np.array([0, 3, 6]))] == ["a c", "x"]
    assert [texts[row] for row in worst(counts, np.array([0, 3, 6]))] == ["a b", "x y"]


def test_the_gap():
    first, best = ErrorCounts(10, 5, 5, 100), ErrorCounts(5, 3, 2, 100)
    assert gap_closed(first, first, best) == 0.0
    assert gap_closed(first, best, best) == 1.0
    assert gap_closed(first, ErrorCounts(10, 5, 0, 100), best) == pytest.approx(0.5)
    assert gap_closed(first, ErrorCounts(10, 10, 5, 100), best) == pytest.approx(-0.5)
    assert gap_closed(best, first, best) is None
