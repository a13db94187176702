"""The comparison as a Markdown table, for a paper or an issue."""

from __future__ import annotations

import re
from collections.abc import Mapping

from asr_lm.counted import counted
from asr_lm.evaluation.bootstrap import Interval
from asr_lm.evaluation.comparison import Comparison, Difference
from asr_lm.evaluation.formatting import DASH, number, p_text, percent, span
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import BOUNDS, title
from asr_lm.report.contents import ReportContents, ReportedList, Row
from asr_lm.rescoring.tuning.flatness import TOLERANCE

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def markdown(contents: ReportContents) -> str:
    """One table a list and one of the weights, as GitHub's Markdown."""
    parts = [_list_part(contents, reported) for reported in contents.lists]
    parts.append(_weights_part(contents))
    if contents.notes:
        parts.append("\n".join(f"* {escaped(note)}" for note in contents.notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text of someone else's that must not be taken for Markdown; line ends become spaces."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _list_part(contents: ReportContents, reported: ReportedList) -> str:
    rows = [_cells(row) for row in contents.rows(reported)]
    rate = metric(contents.measuring.unit).short
    baseline = escaped(title(reported.comparison.baseline))
    headings = (
        f"{escaped(reported.name)} | {rate} % | 95 % | sub/del/ins | utt. % | gap closed | against {baseline}"
        f" | p, {baseline} | p, row above | p, first pass | ppl | parameters | hyp/s"
    )
    lines = [f"| {headings} |", "|---" + "|--:" * 12 + "|", *(f"| {' | '.join(cells)} |" for cells in rows)]
    return "\n".join(lines) + "\n\n" + _circumstances(reported.comparison)


def _cells(row: Row) -> list[str]:
    result = row.result
    counts = result.counts
    return [
        escaped(title(result.name)),
        number(counts.rate),
        span(result.interval),
        f"{counts.substitutions}/{counts.deletions}/{counts.insertions}",
        number(counts.sentence_error_rate, 1),
        percent(None if result.name in BOUNDS else result.gap_closed),
        difference_text(result.against_baseline),
        _p(result.against_baseline),
        _p(result.against_above),
        _p(result.against_first_pass),
        number(row.perplexity, 1),
        DASH if row.parameters is None else f"{row.parameters:,}",
        speed_text(row),
    ]


def speed_text(row: Row) -> str:
    """Hypotheses a second; a dash for a system without models, and where none was measured."""
    return number(row.speed, 0)


def difference_text(difference: Difference | None) -> str:
    """A difference with its interval, in percentage points; a dash where there is none."""
    if difference is None or difference.rate.value is None:
        return DASH
    interval = difference.rate.interval
    between = f" ({interval.low:+.2f} to {interval.high:+.2f})" if interval else ""
    return f"{difference.rate.value:+.2f}{between}"


def _p(difference: Difference | None) -> str:
    # A bare < would begin an HTML tag.
    return DASH if difference is None else p_text(difference.test.p_value).replace("<", "&lt;")


def _circumstances(comparison: Comparison) -> str:
    over = f"{counted(comparison.with_reference, 'utterance')} with a reference of {comparison.utterances:,}"
    return (
        f"Over {over}, {comparison.unit}s, normaliser {comparison.normalizer}. 95 %: bootstrap over "
        f"{comparison.units:,} {comparison.resampled}s. p: matched-pairs test. ppl: a word, over positions every model "
        f"knows. {DASH}: cannot be computed, or not enough data for a test."
    )


def _weights_part(contents: ReportContents) -> str:
    lines = [
        f"| weights | {escaped(f'tuned on {contents.tuned_on}')} |",
        "|---|---|",
    ]
    for name, weights in contents.weighted.items():
        cells = [_weight(feature, value, contents.flat.get(name, {})) for feature, value in weights.values.items()]
        lines.append(f"| {escaped(title(name))} | {', '.join(cells)} |")
    if contents.flat:
        lines.append(
            f"\nIn parentheses: the interval of the weight within which the error rate on the development list stays "
            f"within {TOLERANCE:g} points, the other weights as they are."
        )
    return "\n".join(lines)


def _weight(feature: str, value: float, flat: Mapping[str, Interval]) -> str:
    text = f"{escaped(feature)} {value:.4g}"
    return f"{text} ({flat_text(flat[feature])})" if feature in flat else text


def flat_text(interval: Interval) -> str:
    """An interval of a weight, open ends in words."""
    low, high = interval.low, interval.high
    if abs(low) == float("inf") and abs(high) == float("inf"):
        return "any"
    if abs(low) == float("inf"):
        return f"up to {high:.3g}"
    return f"from {low:.3g}" if abs(high) == float("inf") else f"{low:.3g} to {high:.3g}"
