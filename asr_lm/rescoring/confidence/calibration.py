"""Calibration: from what is known of a word to the probability that it is right, fitted on a development list.

A logistic model of piecewise linear functions of the features comes first; its penalty is the one with the lowest
cross-entropy on held-out folds. Its scores on held-out folds are then calibrated by a logistic function of their own
(Platt, Probabilistic outputs for support vector machines, 1999) with a slope that is never negative, so that the order
stays. Isotonic steps would give 0 and 1 at the ends, where one error costs the normalised cross-entropy without bound.
Folds never split a recording, and nothing is judged on what it was fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.rescoring.confidence.evidence import Evidence
from asr_lm.rescoring.confidence.logistic import Matrix, fit_logistic, sigmoid

VERSION = 1

PENALTIES = (10.0, 50.0, 250.0, 1000.0)
"""Penalties that are tried."""

KNOTS = (0.25, 0.5, 0.75)
"""Quantiles of a feature at which its piecewise linear function may bend."""

_SHORTEST = 1e-6


class Curve(msgspec.Struct, frozen=True):
    """A piecewise linear function of one feature.

    Attributes:
        feature: its name.
        mean: of the feature, subtracted; also taken where the feature is not known.
        scale: its standard deviation, by which it is divided then.
        knots: where the function bends, in that unit.
        slopes: of the feature itself and of what it is above each knot.
    """

    feature: str
    mean: float
    scale: float
    knots: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()

    @classmethod
    def over(cls, feature: str, values: Matrix) -> Curve:
        """A curve without slopes for the observed values of a feature."""
        known = values[~np.isnan(values)]
        if not len(known) or known.std() < _SHORTEST:
            return cls(feature, float(known.mean()) if len(known) else 0.0, 1.0)
        mean, scale = float(known.mean()), float(known.std())
        units = (known - mean) / scale
        found = np.unique(np.quantile(units, KNOTS))
        inner = found[(found > units.min() + _SHORTEST) & (found < units.max() - _SHORTEST)]
        return cls(feature, mean, scale, tuple(inner.tolist()))

    def basis(self, values: Matrix) -> Matrix:
        """What the slopes multiply ``[words, 1 + knots]``."""
        units = np.where(np.isnan(values), 0.0, (values - self.mean) / self.scale)
        return np.column_stack([units, *(np.maximum(units - knot, 0.0) for knot in self.knots)])


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How the features of a word become its confidence.

    Attributes:
        unit: what has a confidence, as errors are counted.
        curves: one a feature.
        intercept: added to their sum.
        slope, offset: of the calibration of that sum; the slope is not negative.
        dev: figures on held-out folds of the development list.
        version: of this form.
    """

    unit: str
    curves: tuple[Curve, ...]
    intercept: float
    slope: float
    offset: float
    dev: dict[str, float] = {}
    version: int = VERSION

    def confidences(self, evidence: Evidence) -> Matrix:
        """Probability that each word is right ``[words]``.

        Raises:
            InputError: a feature is not known of this list.
        """
        values = evidence.select([curve.feature for curve in self.curves])
        raw = np.full(len(values), self.intercept)
        for place, curve in enumerate(self.curves):
            raw += curve.basis(values[:, place]) @ np.array(curve.slopes)
        return self.calibrated(raw)

    def calibrated(self, raw: Matrix) -> Matrix:
        """Probabilities of uncalibrated log-odds; a larger one is never less probable."""
        return sigmoid(self.offset + self.slope * raw)

    def check(self, file: str) -> None:
        """Refuse what no calibration can be.

        Raises:
            InputError: another version, or a number that is not finite.
        """
        if self.version != VERSION:
            message = f"a calibration of version {self.version}, this release reads version {VERSION}"
            raise InputError(message, file=file, field="calibration.version")
        numbers = [self.intercept, self.slope, self.offset]
        for curve in self.curves:
            numbers += [curve.mean, curve.scale, *curve.knots, *curve.slopes]
            if len(curve.slopes) != len(curve.knots) + 1 or not curve.scale > 0:
                message = "expected a scale above 0, and one slope more than knots"
                raise InputError(message, file=file, field=f"calibration.curves.{curve.feature}")
        if not all(map(math.isfinite, numbers)) or self.slope < 0:
            message = "expected finite numbers and a slope that is not negative"
            raise InputError(message, file=file, field="calibration")


def calibrate(
    evidence: Evidence, right: NDArray[np.bool_], folds: NDArray[np.int64], unit: str = "word"
) -> tuple[Calibration, Matrix]:
    """A calibration fitted on a development list.

    Args:
        evidence: what is known of its words.
        right: which words are right ``[words]``.
        folds: fold of each word, from 0; at least two ``[words]``.
        unit: what has a confidence.

    Returns:
        The calibration, and the confidences of the words where theirs was fitted on the other folds ``[words]``.

    Raises:
        InputError: no word.
    """
    if not len(right):
        raise InputError("the output has no word, so no confidences can be calibrated")
    curves = [Curve.over(name, evidence.values[:, place]) for place, name in enumerate(evidence.names)]
    design = np.hstack([curve.basis(evidence.values[:, place]) for place, curve in enumerate(curves)])
    target = right.astype(np.float64)
    tried = [_held_out(design, target, folds, penalty) for penalty in PENALTIES]
    best = min(range(len(PENALTIES)), key=lambda place: _cross_entropy(tried[place], target))
    weights = fit_logistic(design, target, PENALTIES[best])
    offset, slope = _platt(tried[best], target)
    found = Calibration(
        unit=unit,
        curves=_with_slopes(curves, weights[1:]),
        intercept=float(weights[0]),
        slope=slope,
        offset=offset,
    )
    return found, _held_out_calibrated(tried[best], target, folds)


def _held_out(design: Matrix, right: Matrix, folds: NDArray[np.int64], penalty: float) -> Matrix:
    """Log-odds of each word where the weights came from the other folds ``[words]``."""
    raw = np.empty(len(right))
    for fold in np.unique(folds):
        inside = folds == fold
        weights = fit_logistic(design[~inside], right[~inside], penalty)
        raw[inside] = weights[0] + design[inside] @ weights[1:]
    return raw


def _held_out_calibrated(raw: Matrix, right: Matrix, folds: NDArray[np.int64]) -> Matrix:
    found = np.empty(len(right))
    for fold in np.unique(folds):
        inside = folds == fold
        offset, slope = _platt(raw[~inside], right[~inside])
        found[inside] = sigmoid(offset + slope * raw[inside])
    return found


def _platt(raw: Matrix, right: Matrix) -> tuple[float, float]:
    """Offset and slope; a slope that would turn the order around is 0."""
    offset, slope = fit_logistic(raw[:, None], right).tolist()
    if slope >= 0:
        return offset, slope
    return float(fit_logistic(np.zeros((len(raw), 0)), right)[0]), 0.0


def _cross_entropy(raw: Matrix, right: Matrix) -> float:
    return float((np.logaddexp(0.0, raw) - right * raw).sum())


def _with_slopes(curves: Sequence[Curve], weights: Matrix) -> tuple[Curve, ...]:
    found: list[Any] = []
    begin = 0
    for curve in curves:
        end = begin + 1 + len(curve.knots)
        found.append(msgspec.structs.replace(curve, slopes=tuple(weights[begin:end].tolist())))
        begin = end
    return tuple(found)
