"""What a list could give: its best and its worst hypothesis, and how much of the way to the best a system went."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_lm.evaluation.word_errors import Counts, ErrorCounts

Rows = NDArray[np.intp]
"""One row of the hypothesis table for each utterance ``[utterances]``."""


def oracle(counts: Counts, offsets: NDArray[np.int64]) -> Rows:
    """Row of the hypothesis with the fewest errors of each list; of several the one ranked first.

    Args:
        counts: errors of every hypothesis of every list ``[hypotheses, 4]`` (:func:`count_errors`).
        offsets: list ``i`` is ``counts[offsets[i]:offsets[i + 1]]``, ``[utterances + 1]``; no list is empty.
    """
    return _first_smallest(counts[:, :3].sum(axis=1), offsets)


def worst(counts: Counts, offsets: NDArray[np.int64]) -> Rows:
    """Row of the hypothesis with the most errors of each list; arguments as :func:`oracle`."""
    return _first_smallest(-counts[:, :3].sum(axis=1), offsets)


def _first_smallest(values: NDArray[np.int64], offsets: NDArray[np.int64]) -> Rows:
    starts = np.asarray(offsets[:-1], dtype=np.intp)
    if not len(starts):
        return starts
    smallest = np.minimum.reduceat(values, starts)
    hits = np.flatnonzero(values == np.repeat(smallest, np.diff(offsets)))
    return hits[np.searchsorted(hits, starts)]


def gap_closed(first_pass: ErrorCounts, system: ErrorCounts, best: ErrorCounts) -> float | None:
    """Share of the errors between first pass and oracle that ``system`` removed.

    0 is the first pass, 1 the oracle; negative where the system made it worse. None where there is no gap.
    """
    gap = first_pass.errors - best.errors
    return (first_pass.errors - system.errors) / gap if gap else None
