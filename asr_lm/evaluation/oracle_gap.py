"""How much of the way from the first pass to the oracle a system went."""

from __future__ import annotations

from asr_lm.evaluation.word_errors import ErrorCounts


def gap_closed(first_pass: ErrorCounts, system: ErrorCounts, oracle: ErrorCounts) -> float | None:
    """Share of the errors between first pass and oracle that ``system`` removed.

    0 is the first pass, 1 the oracle; negative where the system made it worse. None where there is no gap.
    """
    gap = first_pass.errors - oracle.errors
    return (first_pass.errors - system.errors) / gap if gap else None
