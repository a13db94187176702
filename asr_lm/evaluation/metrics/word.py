"""Word error rate."""

from __future__ import annotations

from asr_lm.evaluation.metrics.metric import Metric

WORD = Metric(
    unit="word",
    short="WER",
    long="word error rate",
    about="what stands between white space",
    tokens=str.split,
    separator=" ",
)
