"""Exact line search for weights: the upper envelope of each list.

Along the line ``w + t d`` of weights the total score of a hypothesis is ``a + t b``, a straight line in the step ``t``.
The hypothesis chosen at ``t`` is the topmost line of its list, so the choice changes only at the corners of the upper
envelope, and the errors of the chosen hypotheses are a piecewise constant function of ``t`` that is known exactly
(Och, Minimum Error Rate Training in Statistical Machine Translation, ACL 2003, section 5; Macherey, Och, Thayer and
Uszkoreit, Lattice-based Minimum Error Rate Training, EMNLP 2008, section 3).

The envelopes of all lists are found together, level by level: between two lines known to lie on the envelope, the line
highest above their crossing lies on it too, or else the crossing is a corner (the idea of quickhull).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_lm.rescoring.features.lists import Lists, Rows, Values

# A line counts as above a crossing only beyond what rounding explains.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Envelopes:
    """Upper envelopes of all lists.

    Attributes:
        first: topmost row of each list at ``t = -inf`` ``[lists]``.
        steps: the ``t`` of each corner ``[corners]``, in no order.
        left, right: rows that are topmost just before and just after each corner ``[corners]``.
    """

    first: Rows
    steps: Values
    left: Rows
    right: Rows


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """Errors of the chosen hypotheses along a line of weights, piecewise constant.

    Attributes:
        steps: where the errors may change ``[corners]``, ascending.
        errors: errors before, between and after the steps ``[corners + 1]``.
    """

    steps: Values
    errors: Values

    def clipped(self, low: float, high: float) -> tuple[Values, Values]:
        """Interval ends ``[n + 1]`` from ``low`` to ``high`` and the errors within the intervals ``[n]``."""
        first, last = np.searchsorted(self.steps, low, side="right"), np.searchsorted(self.steps, high, side="left")
        last = max(first, last)
        return np.concatenate([[low], self.steps[first:last], [high]]), self.errors[first : last + 1]


def _crossings(a: Values, b: Values, left: Rows, right: Rows) -> tuple[Values, Values]:
    """Step ``t`` where two lines cross, and a level that only lines truly above the crossing exceed.

    Lines that do not cross (one row twice, or rounding) get a level nothing exceeds.
    """
    rise = b[right] - b[left]
    crossing = rise > 0
    steps = (a[left] - a[right]) / np.where(crossing, rise, 1.0)
    terms = np.stack([a[left], b[left] * steps, a[right], b[right] * steps])
    level = terms[0] + terms[1] + ROUNDING * np.abs(terms).sum(0)
    return steps, np.where(crossing, level, np.inf)


def upper_envelopes(lists: Lists, a: Values, b: Values) -> Envelopes:
    """Upper envelope of the lines ``a + t b`` of every list.

    Args:
        lists: which rows form a list.
        a: value of each line at ``t = 0`` ``[rows]``.
        b: slope of each line ``[rows]``.

    Of equal lines the first row is the one named.
    """
    first, last = lists.steepest(a, -b), lists.steepest(a, b)
    steps, level = _crossings(a, b, first, last)
    height = b * lists.per_row(steps) + a
    highest = lists.best(height)
    middle = np.where(height[highest] > level, highest, first)
    left, right = np.stack([first, middle], 1).ravel(), np.stack([middle, last], 1).ravel()
    return _refine(a, b, first, left, right, *_candidates(lists, a, b, left, right))


def _candidates(lists: Lists, a: Values, b: Values, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Rows above either of the two crossings of their list, and the number of that crossing, in order of both.

    No row is above both: the middle line is the highest where the outer two cross.
    """
    steps, level = _crossings(a, b, left, right)
    over_first = b * lists.per_row(steps[::2]) + a > lists.per_row(level[::2])
    over_second = b * lists.per_row(steps[1::2]) + a > lists.per_row(level[1::2])
    rows = np.flatnonzero(over_first | over_second)
    segment = 2 * lists.list_of_row[rows] + (b[rows] > b[right[2 * lists.list_of_row[rows]]])
    order = np.argsort(segment, kind="stable")
    return rows[order], segment[order]


def _refine(a: Values, b: Values, first: Rows, left: Rows, right: Rows, rows: Rows, segment: Rows) -> Envelopes:
    """Split the segments ``left`` to ``right`` until no row is above a crossing; ``rows`` are sorted by segment."""
    corners: list[tuple[Values, Rows, Rows]] = []
    while True:
        steps, level = _crossings(a, b, left, right)
        closed = level < np.inf
        closed[segment] = False
        corners.append((steps[closed], left[closed], right[closed]))
        if not len(rows):
            break
        open_starts = np.flatnonzero(np.diff(segment, prepend=-1))
        open_lists, parents = Lists(np.append(open_starts, len(rows))), segment[open_starts]
        middle = rows[open_lists.best(a[rows] + b[rows] * steps[segment])]
        left, right = np.stack([left[parents], middle], 1).ravel(), np.stack([middle, right[parents]], 1).ravel()
        side = np.sign(b[rows] - open_lists.per_row(b[middle]))
        segment = 2 * open_lists.list_of_row + (side > 0)
        rows, segment = _still_above(a, b, left, right, rows[side != 0], segment[side != 0])
    found = [np.concatenate(parts) for parts in zip(*corners, strict=True)]
    return Envelopes(first, *found)


def _still_above(a: Values, b: Values, left: Rows, right: Rows, rows: Rows, segment: Rows) -> tuple[Rows, Rows]:
    steps, level = _crossings(a, b, left, right)
    above = np.flatnonzero(a[rows] + b[rows] * steps[segment] > level[segment])
    rows, segment = rows[above], segment[above]
    order = np.argsort(segment, kind="stable")
    return rows[order], segment[order]


def error_curve(lists: Lists, a: Values, b: Values, errors: Values) -> ErrorCurve:
    """Errors of the topmost hypotheses, summed over the lists, for every step ``t``.

    Args:
        lists: which rows form a list.
        a, b: total score of each hypothesis is ``a + t b`` ``[rows]``.
        errors: errors of each hypothesis ``[rows]``.
    """
    envelopes = upper_envelopes(lists, a, b)
    order = np.argsort(envelopes.steps)
    changes = (errors[envelopes.right] - errors[envelopes.left])[order]
    start = errors[envelopes.first].sum()
    return ErrorCurve(envelopes.steps[order], start + np.concatenate([[0.0], np.cumsum(changes)]))
