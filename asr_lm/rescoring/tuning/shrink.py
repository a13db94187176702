"""Weights that stay near the first pass unless the development list says otherwise.

The errors of a few dozen lists say little of five weights. So the expected word error rate under the lists' posteriors
(:meth:`Objective.expected_rate`) is minimised together with a penalty: ``strength / utterances`` times the squared
distance from the weights of the first pass, its own scores at their best inverse temperature and all others 0. This is
the mode of a posterior under a normal prior, as ridge regression is (Hoerl and Kennard 1970); with many utterances the
prior vanishes.

Measured on random development sets of Whisper's ATIS lists: with 25 utterances and a strength of 3 the word error rate
of the others fell by 0.3 points, where the exact search raised it as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asr_lm.rescoring.features.table import Column, FeatureTable
from asr_lm.rescoring.tuning.bounded_bfgs import minimize
from asr_lm.rescoring.tuning.objective import Objective, Point
from asr_lm.rescoring.tuning.search import PENALTIES, Bounds
from asr_lm.rescoring.tuning.tune import bounds_of, check_features, completed, first_pass_weights, normalised
from asr_lm.rescoring.weights import Weights

STRENGTHS = (10.0, 3.0, 1.0)
"""Strengths that held-out utterances choose from: points of word error rate for a distance of one standard deviation,
were there one utterance."""

LEAST_TEMPERATURE = 1.0
"""Least length of the first pass's weights, in standard deviations: where few lists speak against the recogniser's
order, it is trusted all the same."""


def shrunk_weights(
    table: FeatureTable, features: Sequence[str], strength: float, *, signs: Mapping[str, int] | None = None
) -> Weights:
    """Weights with a low expected word error rate near those of the first pass.

    Args:
        table: the development list.
        features: what to weight.
        strength: of the penalty on the distance from the first pass.
        signs: as in :func:`asr_lm.rescoring.tuning.tune.tune_weights`.

    Raises:
        InputError: no reference, no feature, or a feature the table does not have.
    """
    columns = check_features(table, features, [("sign", signs or {})])
    objective = Objective.of(table, features)
    columns = [column for column, varies in zip(columns, objective.std, strict=True) if varies]
    prior = first_pass_weights(columns)
    if not prior:
        return completed(table, features, {})
    if not objective.std.all():
        objective = Objective.of(table, [column.name for column in columns])
    point = _near(objective, bounds_of(columns, signs or {}), _unit(prior, columns, objective), strength, table)
    return completed(table, features, normalised(columns, objective, point))


def _unit(prior: Mapping[str, float], columns: Sequence[Column], objective: Objective) -> Point:
    weights = np.array([prior.get(column.name, 0.0) for column in columns]) * objective.std
    return np.asarray(weights / np.linalg.norm(weights), dtype=np.float64)


def _near(objective: Objective, bounds: Bounds, unit: Point, strength: float, table: FeatureTable) -> Point:
    """The minimum of the expected rate with the penalty on the distance from the first pass."""
    prior = unit * _temperature(objective, unit)
    penalty = strength / int(table.referenced.sum())

    def value_and_gradient(point: Point) -> tuple[float, Point]:
        value, gradient = objective.expected_rate(point)
        away = point - prior
        value += penalty * float(away @ away) + PENALTIES[-1] * float(point @ point)
        return value, gradient + 2 * penalty * away + 2 * PENALTIES[-1] * point

    return minimize(value_and_gradient, prior, bounds.low, bounds.high)


def _temperature(objective: Objective, unit: Point) -> float:
    """Length of the first pass's weights with the lowest expected rate."""

    def value_and_gradient(length: Point) -> tuple[float, Point]:
        value, gradient = objective.expected_rate(unit * length[0])
        value += PENALTIES[-1] * float(length @ length)
        return value, np.array([gradient @ unit]) + 2 * PENALTIES[-1] * length

    low = np.full(1, LEAST_TEMPERATURE)
    return float(minimize(value_and_gradient, low, low, np.full(1, np.inf))[0])
