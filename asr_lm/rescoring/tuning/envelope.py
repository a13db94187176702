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
    a_left, a_right, b_left, b_right = a[left], a[right], b[left], b[right]
    rise = b_right - b_left
    crossing = rise > 0
    steps = (a_left - a_right) / np.where(crossing, rise, 1.0)
    moved = b_left * steps
    size = np.abs(a_left) + np.abs(moved) + np.abs(a_right) + np.abs(b_right * steps)
    return steps, np.where(crossing, a_left + moved + ROUNDING * size, np.inf)


def _in_turn(first: Rows, second: Rows) -> Rows:
    """Elements of both, one from each in turn."""
    joined = np.empty(2 * len(first), dtype=first.dtype)
    joined[::2], joined[1::2] = first, second
    return joined


@dataclass(frozen=True, eq=False)
class _Segments:
    """Pairs of lines that are known to lie on an envelope, one after the other.

    Attributes:
        left, right: rows of each pair ``[segments]``.
        steps, level: where they cross ``[segments]``, as :func:`_crossings` gives it.
    """

    left: Rows
    right: Rows
    steps: Values
    level: Values

    @classmethod
    def between(cls, a: Values, b: Values, left: Rows, right: Rows) -> _Segments:
        return cls(left, right, *_crossings(a, b, left, right))

    def closed(self, still_open: Rows) -> tuple[Values, Rows, Rows]:
        """Steps, left and right rows of those that cross in a corner: all but those ``still_open``."""
        closed = self.level < np.inf
        closed[still_open] = False
        return self.steps[closed], self.left[closed], self.right[closed]


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
    segments = _Segments.between(a, b, _in_turn(first, middle), _in_turn(middle, last))
    return _refine(a, b, first, segments, *_candidates(lists, a, b, segments))


def _candidates(lists: Lists, a: Values, b: Values, segments: _Segments) -> tuple[Rows, Rows]:
    """Rows above either of the two crossings of their list, and the number of that crossing, in order of both.

    No row is above both: the middle line is the highest where the outer two cross.
    """
    steps, level, right = segments.steps, segments.level, segments.right
    over_first = b * lists.per_row(steps[::2]) + a > lists.per_row(level[::2])
    over_second = b * lists.per_row(steps[1::2]) + a > lists.per_row(level[1::2])
    rows = np.flatnonzero(over_first | over_second)
    segment = 2 * lists.list_of_row[rows] + (b[rows] > b[right[2 * lists.list_of_row[rows]]])
    order = np.argsort(segment, kind="stable")
    return rows[order], segment[order]


def _refine(a: Values, b: Values, first: Rows, segments: _Segments, rows: Rows, segment: Rows) -> Envelopes:
    """Split segments until no row is above a crossing; ``rows`` are sorted by their ``segment``."""
    corners: list[tuple[Values, Rows, Rows]] = []
    while True:
        corners.append(segments.closed(segment))
        if not len(rows):
            break
        opens = np.flatnonzero(np.append(True, segment[1:] != segment[:-1]))
        open_lists, parents = Lists(np.append(opens, len(rows))), segment[opens]
        middle = rows[open_lists.best(a[rows] + b[rows] * segments.steps[segment])]
        left, right = _in_turn(segments.left[parents], middle), _in_turn(middle, segments.right[parents])
        segments = _Segments.between(a, b, left, right)
        side = np.sign(b[rows] - open_lists.per_row(b[middle]))
        segment = 2 * open_lists.list_of_row + (side > 0)
        rows, segment = _still_above(a, b, segments, rows[side != 0], segment[side != 0])
    found = [np.concatenate(parts) for parts in zip(*corners, strict=True)]
    return Envelopes(first, *found)


def _still_above(a: Values, b: Values, segments: _Segments, rows: Rows, segment: Rows) -> tuple[Rows, Rows]:
    above = np.flatnonzero(a[rows] + b[rows] * segments.steps[segment] > segments.level[segment])
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
