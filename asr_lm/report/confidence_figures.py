"""Figures of confidences: whether they mean what they say, and what is left when the least certain utterances go."""

from __future__ import annotations

from collections.abc import Iterator

from asr_lm.evaluation.confidence import ConfidenceQuality
from asr_lm.report.contents import ReportContents, ReportedList
from asr_lm.report.drawing import SERIES, SOFT, Figure, new_axes


def confidence_figures(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    """The reliability diagram, and error rate against coverage; nothing for a list without confidences."""
    if reported.confidence is not None:
        yield _reliability(reported.confidence, contents.measuring.unit)
        yield _coverage(reported.confidence)


def _reliability(quality: ConfidenceQuality, unit: str) -> Figure:
    drawing, axes = new_axes(f"confidence of a {unit}", "share that is right")
    axes.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1.0)
    most = max(found.words for found in quality.reliability)
    for found in quality.reliability:
        size = 3 + 9 * (found.words / most) ** 0.5
        axes.plot(found.confidence, found.right, "o", color=SERIES[0], markersize=size, alpha=0.8)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    text = "; ".join(f"{found.words} of {found.confidence:.2f}: {found.right:.2f}" for found in quality.reliability)
    return Figure("reliability", "Reliability of the confidences", text, drawing)


def _coverage(quality: ConfidenceQuality) -> Figure:
    drawing, axes = new_axes("share of the utterances kept, the most certain first", "error rate of these, %")
    axes.plot(*zip(*quality.coverage, strict=True), color=SERIES[0], linewidth=1.6)
    axes.set_xlim(0, 1)
    text = f"Area under the curve {quality.aurc:.2f} %"
    return Figure("coverage", "Error rate against coverage", text, drawing)
