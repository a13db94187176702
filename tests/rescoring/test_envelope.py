"""The upper envelope of each list against enumeration."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from asr_lm.rescoring.features.lists import Lists
from asr_lm.rescoring.tuning.envelope import error_curve, upper_envelopes


def draw(seed: int, whole: bool) -> tuple[Lists, np.ndarray, np.ndarray, np.ndarray]:
    """Random lines; whole numbers make parallel, equal and concurrent lines common."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 12, generator.integers(1, 7))
    rows = int(lengths.sum())
    lines = generator.integers(-3, 4, (2, rows)) if whole else generator.standard_normal((2, rows))
    errors = generator.integers(0, 10, rows).astype(float)
    return Lists(np.concatenate([[0], np.cumsum(lengths)])), *lines.astype(float), errors


def crossings(lists: Lists, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Every step at which two lines of one list meet."""
    found = [
        (a[i] - a[j]) / (b[j] - b[i])
        for start, end in pairwise(lists.offsets.tolist())
        for i, j in combinations(range(start, end), 2)
        if b[i] != b[j]
    ]
    return np.unique(np.round(found, 12)) if found else np.zeros(1)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", range(120))
def test_error_curve_is_that_of_choosing_anew_between_all_crossings(seed: int, whole: bool) -> None:
    lists, a, b, errors = draw(seed, whole)
    steps = crossings(lists, a, b)
    between = np.concatenate([[steps[0] - 1], (steps[1:] + steps[:-1]) / 2, [steps[-1] + 1]])
    curve = error_curve(lists, a, b, errors)
    for step in between:
        totals = a + step * b
        chosen = [start + int(totals[start:end].argmax()) for start, end in pairwise(lists.offsets.tolist())]
        assert curve.errors[np.searchsorted(curve.steps, step)] == errors[chosen].sum()


def test_hand_worked_envelope() -> None:
    # y = -x, y = 1 (twice), y = x, and y = 0.9, which never is on top.
    a, b = np.array([0.0, 1.0, 1.0, 0.0, 0.9]), np.array([-1.0, 0.0, 0.0, 1.0, 0.0])
    envelopes = upper_envelopes(Lists(np.array([0, 5])), a, b)
    order = np.argsort(envelopes.steps)
    assert envelopes.first.tolist() == [0]
    assert envelopes.steps[order].tolist() == [-1.0, 1.0]
    assert envelopes.left[order].tolist() == [0, 1]
    assert envelopes.right[order].tolist() == [1, 3]


def test_the_first_of_equal_lines_is_named() -> None:
    a, b = np.zeros(4), np.array([1.0, 0.0, 1.0, 0.0])
    envelopes = upper_envelopes(Lists(np.array([0, 4])), a, b)
    assert envelopes.first.tolist() == [1]
    assert envelopes.right.tolist() == [0]


def test_clipping_keeps_the_errors_of_the_intervals() -> None:
    a, b = np.array([0.0, 1.0, 0.0]), np.array([-1.0, 0.0, 1.0])
    curve = error_curve(Lists(np.array([0, 3])), a, b, np.array([5.0, 2.0, 7.0]))
    edges, errors = curve.clipped(-0.5, 3.0)
    assert edges.tolist() == [-0.5, 1.0, 3.0]
    assert errors.tolist() == [2.0, 7.0]
    edges, errors = curve.clipped(-0.5, 0.5)
    assert edges.tolist() == [-0.5, 0.5]
    assert errors.tolist() == [2.0]


def test_many_lines_that_almost_meet_in_one_point_end() -> None:
    generator = np.random.default_rng(5)
    b = generator.standard_normal(500)
    a = 1e6 - b * 0.3
    curve = error_curve(Lists(np.array([0, 500])), a, b, np.arange(500.0))
    assert curve.errors[0] == b.argmin()
    assert curve.errors[-1] == b.argmax()
