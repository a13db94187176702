"""A comparison as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lm.evaluation.bootstrap import Interval
from asr_lm.evaluation.comparison import (
    BOUNDS,
    FIRST_PASS,
    ORACLE,
    RESCORED,
    RETUNED,
    WORST,
    Comparison,
    Difference,
    SystemResult,
)
from asr_lm.evaluation.word_changes import WordChange, most_broken, most_fixed

if TYPE_CHECKING:
    from rich.table import Table

TITLES = {
    FIRST_PASS: "first pass",
    RETUNED: "re-tuned first pass",
    RESCORED: "rescored",
    ORACLE: "oracle",
    WORST: "worst",
}

_NOTHING = "–"


def comparison_table(comparison: Comparison) -> Table:
    """One row a system: error rate with its interval, errors by kind, gap closed, difference to the baseline.

    Columns for the difference to the row above appear where they would say something else.
    """
    from rich.table import Table

    above = _row_above_matters(comparison)
    rate = "WER" if comparison.unit == "word" else "CER"
    table = Table(caption=_caption(comparison), caption_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for heading in (f"{rate} %", "95 %", "sub/del/ins", "sent. err. %", "gap closed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for against in [f"to {title(comparison.baseline)}"] + ["to row above"] * above:
        table.add_column(against, justify="right")
        table.add_column("p", justify="right", no_wrap=True)
    for result in comparison.systems:
        table.add_row(*_cells(result, above), end_section=result.name == comparison.baseline)
    return table


def changes_table(changes: Sequence[WordChange], most: int = 10) -> Table:
    """The words most often fixed beside the words most often broken, each with both counts."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("most often fixed", "most often broken"):
        table.add_column(heading)
        table.add_column("fixed", justify="right")
        table.add_column("broken", justify="right")
    fixed, broken = most_fixed(changes, most), most_broken(changes, most)
    for row in range(max(len(fixed), len(broken))):
        cells = [_change_cells(words[row : row + 1]) for words in (fixed, broken)]
        table.add_row(*cells[0], *cells[1])
    return table


def title(name: str) -> str:
    """What a reader calls the system."""
    return TITLES.get(name, name)


def _row_above_matters(comparison: Comparison) -> bool:
    return any(
        result.against_above is not None
        and result.name != comparison.baseline
        and result.against_above.against != comparison.baseline
        for result in comparison.systems
    )


def _cells(result: SystemResult, above: bool) -> list[str]:
    from rich.markup import escape

    counts = result.counts
    kinds = f"{counts.substitutions}/{counts.deletions}/{counts.insertions}"
    share = _NOTHING if result.gap_closed is None or result.name in BOUNDS else f"{100 * result.gap_closed:.0f} %"
    cells = [escape(title(result.name)), _number(counts.rate), _span(result.interval), kinds]
    cells += [_number(counts.sentence_error_rate, 1), share, *_difference_cells(result.against_baseline)]
    return cells + _difference_cells(result.against_above) if above else cells


def _difference_cells(difference: Difference | None) -> list[str]:
    if difference is None or difference.rate.value is None:
        return ["", ""]
    value = f"{difference.rate.value:+.2f}"
    if difference.rate.interval is not None:
        value += f" [{_span(difference.rate.interval, '+')}]"
    return [value.replace("[", r"\["), p_text(difference.test.p_value)]


def _change_cells(change: Sequence[WordChange]) -> list[str]:
    from rich.markup import escape

    return [text for item in change for text in (escape(item.word), str(item.fixed), str(item.broken))] or [""] * 3


def p_text(p_value: float | None) -> str:
    """A p-value as it is printed; a dash where there was not enough data."""
    if p_value is None:
        return _NOTHING
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _number(value: float | None, places: int = 2) -> str:
    return _NOTHING if value is None else f"{value:.{places}f}"


def _span(interval: Interval | None, sign: str = "") -> str:
    return _NOTHING if interval is None else f"{interval.low:{sign}.2f} to {interval.high:{sign}.2f}"


def _caption(comparison: Comparison) -> str:
    with_reference, utterances = comparison.with_reference, comparison.utterances
    known = f"all {utterances}" if with_reference == utterances else f"the {with_reference} of {utterances}"
    texts = "compared with white space collapsed and nothing else"
    if comparison.normalizer != "as-is":
        texts = f"compared after the normaliser {comparison.normalizer}"
    over = f"{comparison.units} {comparison.resampled}{'' if comparison.units == 1 else 's'}"
    return (
        f"Over {known} utterances that have a reference; {comparison.unit}s {texts}. 95 %: bootstrap over {over}. "
        f"p: matched-pairs test; {_NOTHING}: not enough data."
    )
