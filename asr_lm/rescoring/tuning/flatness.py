"""How much a weight matters: the error rate along one weight while the others stay, exactly.

Along one weight the total of a hypothesis is a straight line, so the error rate is a step function whose steps are
known (:mod:`asr_lm.rescoring.tuning.envelope`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_lm.evaluation.bootstrap import Interval
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.tuning.envelope import ErrorCurve, error_curve
from asr_lm.rescoring.weights import Weights

TOLERANCE = 0.1
"""Points of error rate by which it may rise while the optimum still counts as flat."""


@dataclass(frozen=True, eq=False)
class WeightCurve:
    """Error rate of a list as a function of one weight.

    Attributes:
        weight: the value the weight has; None of the others is varied.
        curve: errors by distance from :attr:`weight`.
        reference_length: words (or characters) of the references.
    """

    weight: float
    curve: ErrorCurve
    reference_length: int

    def steps(self, low: float, high: float) -> tuple[list[float], list[float]]:
        """Ends ``[n + 1]`` of the stretches of the weight from ``low`` to ``high``, and their rates in % ``[n]``."""
        ends, errors = self.curve.clipped(low - self.weight, high - self.weight)
        return (ends + self.weight).tolist(), (100.0 * errors / self.reference_length).tolist()

    def flat(self, tolerance: float = TOLERANCE) -> Interval:
        """The interval around the weight within which the rate stays within ``tolerance`` points of that at the weight.

        An end is infinite where the rate never leaves the band on that side.
        """
        steps, errors = self.curve.steps, self.curve.errors
        here = int(np.searchsorted(steps, 0.0, side="right"))
        # A weight of exactly a corner belongs to both sides; the better one is what tuning meant.
        if here and steps[here - 1] == 0.0 and errors[here - 1] < errors[here]:
            here -= 1
        above = np.flatnonzero(errors > errors[here] + tolerance / 100.0 * self.reference_length)
        left, right = above[above < here], above[above > here]
        low = float(steps[left[-1]]) if len(left) else -np.inf
        high = float(steps[right[0] - 1]) if len(right) else np.inf
        return Interval(self.weight + low, self.weight + high)


def weight_curve(table: FeatureTable, weights: Weights, feature: str) -> WeightCurve | None:
    """The error rate of the best totals as a function of the weight of ``feature``; None without reference words.

    Raises:
        InputError: the table lacks a weighted feature, or ``feature``.
    """
    known = table.select_utterances(table.referenced)
    length = int(known.reference_words.sum())
    if not length:
        return None
    curve = error_curve(
        known.lists,
        known.lists.centred(weights.totals(known)),
        known.lists.centred(known.column(feature)),
        known.errors.sum(1).astype(np.float64),
    )
    return WeightCurve(weights.values.get(feature, 0.0), curve, length)
