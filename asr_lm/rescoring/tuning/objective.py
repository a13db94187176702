"""What tuning minimises: errors of the chosen hypotheses as a function of the weights, exact and smooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.rescoring.features.lists import Lists, Values
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.tuning.envelope import ErrorCurve, error_curve

Point = NDArray[np.float64]
"""One weight for each feature ``[features]``, in the unit of that feature's standard deviation."""


@dataclass(frozen=True, eq=False)
class Objective:
    """Errors on a development list.

    Features are differences to the first hypothesis of each list, divided by their standard deviation within lists, so
    weights of different features compare and constants added to a list are without effect. Lists whose hypotheses all
    have the same errors cannot tell weights apart; only their errors are kept.

    Attributes:
        lists: the lists that can tell weights apart.
        values: standardised features ``[rows, features]``, stored column by column.
        errors: errors of each hypothesis ``[rows]``.
        fixed_errors: errors of the lists left out.
        reference_words: words of all references, those of the lists left out included.
        std: what one unit of each feature was divided by ``[features]``; 0 where a feature is constant within
            every list, and then its values are 0.
    """

    lists: Lists
    values: NDArray[np.float64]
    errors: Values
    fixed_errors: float
    reference_words: int
    std: NDArray[np.float64]

    @classmethod
    def of(cls, table: FeatureTable, features: Sequence[str]) -> Objective:
        """Objective of the utterances that have a reference.

        Raises:
            InputError: no utterance has a reference, no reference has a word, or the table lacks a feature.
        """
        known = np.flatnonzero(table.referenced)
        words = int(table.reference_words[known].sum())
        if not words:
            raise InputError("no reference with a word to tune on: a development list needs references")
        errors = table.errors.sum(1).astype(np.float64)
        lowest = np.minimum.reduceat(errors, table.lists.starts)
        tells = (lowest < np.maximum.reduceat(errors, table.lists.starts))[known]
        telling, fixed = known[tells], lowest[known[~tells]].sum()
        lists = Lists(np.concatenate([[0], np.cumsum(table.lists.lengths[telling])]).astype(np.int64))
        rows = table.lists.rows_of(telling)
        values, std = _standardised(lists, [table.column(name)[rows] for name in features])
        return cls(lists, values, errors[rows], float(fixed), words, std)

    def error_count(self, point: Point) -> float:
        """Errors of the hypotheses with the largest total."""
        return self.fixed_errors + float(self.list_errors(point).sum())

    def list_errors(self, point: Point) -> Values:
        """Errors of the hypothesis with the largest total of each list that can tell weights apart ``[lists]``."""
        return self.errors[self.lists.best(self.values @ point)]

    def along(self, point: Point, direction: Point) -> ErrorCurve:
        """Errors for every weight ``point + t direction``, the errors of the lists left out not counted."""
        return error_curve(self.lists, self.values @ point, self.values @ direction, self.errors)

    def expected_rate(self, point: Point) -> tuple[float, Point]:
        """Expected word error rate in percent, and its gradient ``[features]``.

        The hypotheses of a list are drawn with probability ``softmax(totals)``, so the length of ``point`` matters: it
        is the inverse temperature of the draw (Och 2003, section 4; Smith and Eisner, Minimum Risk Annealing, ACL
        2006).
        """
        posterior = self.lists.softmax(self.values @ point)
        risk = posterior * self.errors
        expected = self.lists.total(risk)
        gradient = self.values.T @ (risk - posterior * self.lists.per_row(expected))
        percent = 100.0 / self.reference_words
        return percent * (self.fixed_errors + float(expected.sum())), percent * gradient


def _standardised(lists: Lists, columns: Sequence[Values]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns less their first row in each list, divided by their standard deviation within lists; and these."""
    values = np.zeros((int(lists.offsets[-1]), len(columns)), order="F")
    std = np.zeros(len(columns))
    for number, column in enumerate(columns):
        centred = lists.centred(column)
        deviation = centred - lists.per_row(lists.total(centred) / lists.lengths)
        std[number] = np.sqrt(np.mean(deviation**2)) if len(centred) else 0.0
        if std[number] > 0:
            values[:, number] = centred / std[number]
    return values, std
