"""The flat stretch around a weight is what trying every weight gives."""

import numpy as np
import pytest

from asr_lm.rescoring.tuning.flatness import weight_curve
from asr_lm.rescoring.weights import Weights


def rate(table, weights):
    return table.word_errors(table.lists.best(weights.totals(table))).rate


def moved(weights, feature, value):
    return weights.replaced(values=weights.values | {feature: value})


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_the_rate_at_every_weight(draw, seed):
    table = draw(np.random.default_rng(seed), 30, 8)
    weights = Weights(values={"score0": 1.0, "score1": 0.6, "words": -0.2})
    curve = weight_curve(table, weights, "score1")
    ends, rates = curve.steps(-1.0, 3.0)
    for low, high, expected in zip(ends, ends[1:], rates, strict=False):
        if high - low > 1e-6:
            assert rate(table, moved(weights, "score1", (low + high) / 2)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_within_the_flat_interval_the_rate_stays_near_and_beyond_it_does_not(draw, seed):
    table = draw(np.random.default_rng(seed), 40, 8)
    weights = Weights(values={"score0": 1.0, "score1": 0.6, "words": -0.2})
    flat = weight_curve(table, weights, "score1").flat(tolerance=2.0)
    highest = rate(table, weights) + 2.0 + 1e-9
    assert flat.low <= 0.6 <= flat.high
    for value in np.linspace(max(flat.low, -9) + 1e-6, min(flat.high, 9) - 1e-6, 60):
        assert rate(table, moved(weights, "score1", value)) <= highest
    for end, beyond in ((flat.low, flat.low - 1e-6), (flat.high, flat.high + 1e-6)):
        if np.isfinite(end):
            assert rate(table, moved(weights, "score1", beyond)) > highest


def test_a_feature_that_never_differs_may_have_any_weight(build):
    table = build([2, 2], [[0, 1], [1, 1], [0, 1], [1, 1]], [0, 1, 1, 0])
    flat = weight_curve(table, Weights(values={"score0": 1.0, "score1": 3.0}), "score1").flat()
    assert (flat.low, flat.high) == (-np.inf, np.inf)


def test_without_a_reference_there_is_no_curve(build):
    table = build([2], [[0.0], [1.0]], [-1, -1], reference_words=[-1])
    assert weight_curve(table, Weights(values={"score0": 1.0}), "score0") is None
