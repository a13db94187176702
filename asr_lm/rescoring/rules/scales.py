"""The scale of posteriors: an inverse temperature, which rules that weigh hypotheses by their posteriors tune.

The posterior of a hypothesis is ``softmax(scale * total)`` over its list. Tuning fits a scale to the weights
(:func:`asr_lm.rescoring.tuning.tune.fitted_scale`); a rule may do better with a multiple of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.weights import Weights

SCALES = tuple(2.0 ** (half / 2) for half in range(-8, 5))
"""Multiples of the fitted scale that are tried: 1/16 to 4."""


def posteriors_at(factors: Sequence[float], weights: Weights, table: FeatureTable) -> NDArray[np.float64]:
    """Posteriors of the hypotheses at multiples of the fitted scale ``[factors, rows]``."""
    totals = weights.totals(table)
    return np.stack([table.lists.softmax(factor * weights.scale * totals) for factor in factors])


def best_scale(weights: Weights, rule: str, errors: Sequence[tuple[int, float | None]]) -> Weights:
    """Weights at the multiple of the scale with the fewest errors; of equal ones the nearest to the fitted scale.

    Args:
        weights: with the fitted scale.
        rule: that chose.
        errors: number and rate in percent at each of :data:`SCALES`.
    """
    best = min(range(len(SCALES)), key=lambda place: (errors[place][0], abs(np.log(SCALES[place]))))
    rate = float(errors[best][1] or 0.0)
    return weights.replaced(decision=rule, scale=SCALES[best] * weights.scale, dev=weights.dev | {"wer": rate})
