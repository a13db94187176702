"""A comparison as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lm.counted import counted
from asr_lm.evaluation.comparison import Comparison, Difference, SystemResult
from asr_lm.evaluation.formatting import DASH, number, p_text, percent, span
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import BOUNDS, title
from asr_lm.evaluation.word_changes import WordChange, most_broken, most_fixed, repeated

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


_VERBS = ("fixed", "broken")


def plain_table(*headings: str) -> Table:
    """A table without lines: text in the first column, numbers that never wrap in the others."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=place > 0)
    return table


def comparison_table(comparison: Comparison) -> Group:
    """The error rates, the differences between the systems, and what the figures are over; 80 columns are enough."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        rates_table(comparison), Text(), differences_table(comparison), Text(), Text(_circumstances(comparison))
    )


def rates_table(comparison: Comparison) -> Table:
    """One row a system: error rate with its interval, errors by kind, wrong utterances, share of the gap closed."""
    table = plain_table("", f"{metric(comparison.unit).short} %", "95 %", "sub/del/ins", "utt. %", "gap closed")
    for result in comparison.systems:
        table.add_row(*_rate_cells(result))
    return table


def differences_table(comparison: Comparison) -> Table:
    """One row a pair of systems: each against the row above it, the baseline and the first pass, no pair twice."""
    table = plain_table("", "against", "difference", "95 %", "p")
    for name, difference in _differences(comparison):
        table.add_row(*_difference_cells(name, difference))
    table.columns[1].justify, table.columns[1].no_wrap = "left", False
    return table


def changes_table(changes: Sequence[WordChange], most: int = 10) -> Table:
    """The words most often fixed beside the words most often broken, each with both counts.

    What happened once is left out, and said to have happened once where nothing happened twice.
    """
    fixed, broken = most_fixed(changes, most), most_broken(changes, most)
    least = [repeated([change.fixed for change in fixed]), repeated([change.broken for change in broken])]
    fixed = [change for change in fixed if change.fixed >= least[0]]
    broken = [change for change in broken if change.broken >= least[1]]
    names = [f"most often {verb}" if times > 1 else f"{verb} once" for verb, times in zip(_VERBS, least, strict=True)]
    table = plain_table(names[0], *_VERBS, names[1], *_VERBS)
    table.columns[3].justify = "left"
    for row in range(max(len(fixed), len(broken))):
        cells = [_change_cells(words[row : row + 1]) for words in (fixed, broken)]
        table.add_row(*cells[0], *cells[1])
    return table


def _differences(comparison: Comparison) -> list[tuple[str, Difference]]:
    order = {result.name: place for place, result in enumerate(comparison.systems)}
    found = [
        (result.name, difference)
        for result in comparison.systems
        for difference in (result.against_above, result.against_baseline, result.against_first_pass)
        if difference is not None
    ]
    pairs: dict[frozenset[str], tuple[str, Difference]] = {}
    # A row is read against one it has passed: the first pass against a baseline below it only where nothing else is.
    for name, difference in sorted(found, key=lambda pair: order[pair[1].against] > order[pair[0]]):
        pairs.setdefault(frozenset((name, difference.against)), (name, difference))
    return list(pairs.values())


def _rate_cells(result: SystemResult) -> list[str]:
    counts = result.counts
    share = percent(None if result.name in BOUNDS else result.gap_closed)
    kinds = f"{counts.substitutions}/{counts.deletions}/{counts.insertions}"
    rates = (number(counts.rate), span(result.interval), kinds, number(counts.sentence_error_rate, 1))
    return [_literal(title(result.name)), *rates, share]


def _difference_cells(name: str, difference: Difference) -> list[str]:
    rate = difference.rate
    values = (number(rate.value, sign="+"), span(rate.interval, "+"), p_text(difference.test.p_value))
    return [_literal(title(name)), _literal(title(difference.against)), *values]


def _literal(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _change_cells(change: Sequence[WordChange]) -> list[str]:
    return [text for item in change for text in (_literal(item.word), str(item.fixed), str(item.broken))] or [""] * 3


def _circumstances(comparison: Comparison) -> str:
    with_reference, utterances = comparison.with_reference, comparison.utterances
    known = f"all {utterances}" if with_reference == utterances else f"the {with_reference} of {utterances}"
    texts = f"compared {metric(comparison.unit).as_is}"
    if comparison.normalizer != "as-is":
        texts = f"compared after the normaliser {comparison.normalizer}"
    over = counted(comparison.units, comparison.resampled)
    noun = "utterance that has" if utterances == 1 else "utterances that have"
    return (
        f"Over {known} {noun} a reference; {comparison.unit}s {texts}. Differences in percentage points. "
        f"95 %: bootstrap over {over}. p: matched-pairs test. {DASH}: cannot be computed."
    )
