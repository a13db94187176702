"""The metrics by name: a new one is a module beside this one and a line here."""

from __future__ import annotations

from asr_lm.errors import InputError
from asr_lm.evaluation.metrics.character import CHARACTER
from asr_lm.evaluation.metrics.metric import Metric
from asr_lm.evaluation.metrics.word import WORD

METRICS: dict[str, Metric] = {
    metric.unit: metric
    for metric in (
        WORD,
        CHARACTER,
    )
}
"""All metrics by the unit they count; the first is taken unless another is asked for."""


def metric(unit: str) -> Metric:
    """The metric that counts this unit.

    Raises:
        InputError: there is none.
    """
    if unit not in METRICS:
        raise InputError(f"unknown unit {unit!r}, expected one of {', '.join(METRICS)}", parameter="unit")
    return METRICS[unit]
