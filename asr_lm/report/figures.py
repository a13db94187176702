"""The figures of a report, drawn by matplotlib: for the page as SVG that follows its colours, for papers as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import Resamples
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.roles import BOUNDS, FIRST_PASS, ORACLE, RETUNED, title
from asr_lm.files import make_folder
from asr_lm.partial_files import partial_folder
from asr_lm.report.confidence_figures import confidence_figures
from asr_lm.report.contents import ReportContents, ReportedList
from asr_lm.report.drawing import GRID, INK, MARKERS, SERIES, SOFT, STYLE, Figure, new_axes, quiet
from asr_lm.rescoring.features.lists import Rows
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.tuning.flatness import WeightCurve, weight_curve
from asr_lm.rescoring.weights import Weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""List lengths at which the error rate is taken; the longest list is added."""

BINS = 4
"""Groups of about equally many utterances by length or confidence."""

MOST_WEIGHTS = 6
"""Models whose weight gets a figure of its own."""


def figures(contents: ReportContents, reported: ReportedList) -> list[Figure]:
    """Every figure there is data for; none is empty."""
    makers: Sequence[Callable[[ReportContents, ReportedList], Iterator[Figure]]] = (
        _rates,
        _perplexities,
        _depths,
        _weights,
        _by_length,
        _by_confidence,
        confidence_figures,
    )
    if not reported.comparison[FIRST_PASS].counts.reference_length:
        return []
    with quiet():
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return [figure for maker in makers for figure in maker(contents, reported)]


def save_figures(contents: ReportContents, folder: Path) -> list[Path]:
    """Write every figure of every list as SVG and PNG, all of them or none; the paths written.

    Raises:
        InputError: the folder or a file cannot be written.
    """
    make_folder(folder.parent)
    try:
        with partial_folder(folder) as temporary:
            written = _write_all(contents, temporary)
            make_folder(folder)
            return [path.replace(folder / path.name) for path in written]
    except OSError as error:
        raise InputError(f"the figures cannot be written ({error.strerror or error})", file=folder) from error


def _write_all(contents: ReportContents, folder: Path) -> list[Path]:
    written = []
    for number, reported in enumerate(contents.lists):
        prefix = f"{number + 1}-" if len(contents.lists) > 1 else ""
        for figure in figures(contents, reported):
            for suffix, data in ((".svg", figure.svg().encode()), (".png", figure.png())):
                written.append(folder / f"{prefix}{figure.name}{suffix}")
                written[-1].write_bytes(data)
    return written


def _shown(name: str, most: int = 26) -> str:
    text = title(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _legend(axes: Axes) -> None:
    if len(axes.get_legend_handles_labels()[0]) > 1:
        # Above the drawing, where it covers nothing.
        axes.legend(
            fontsize=8,
            labelcolor=INK,
            handlelength=1.6,
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(-0.12, 1.0),
            borderaxespad=0.2,
            ncols=2,
            columnspacing=1.2,
        )


def _rate_name(contents: ReportContents) -> str:
    return f"{metric(contents.measuring.unit).short}, %"


def _rates(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    results = reported.comparison.systems
    drawing, axes = new_axes(_rate_name(contents), "", max(1.6, 0.6 + 0.32 * len(results)))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8)
    for place, result in enumerate(results):
        rate = result.counts.rate or 0.0
        colour = SOFT if result.name in (FIRST_PASS, RETUNED) else SERIES[2] if result.name in BOUNDS else SERIES[0]
        if result.interval:
            axes.plot([result.interval.low, result.interval.high], [place, place], color=colour, linewidth=2, alpha=0.5)
        filled = result.name == contents.chosen
        axes.plot(rate, place, "o", color=colour, markersize=8 if filled else 6, markerfacecolor=colour)
        high = result.interval.high if result.interval else rate
        axes.annotate(
            f"{rate:.2f}", (high, place), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK
        )
    axes.set_yticks(range(len(results)), [_shown(result.name) for result in results])
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.invert_yaxis()
    axes.margins(x=0.16)
    text = "; ".join(f"{title(result.name)} {result.counts.rate or 0.0:.2f}" for result in results)
    yield Figure("rates", "Error rate, 95 % interval", text, drawing)


def _perplexities(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    # Systems that decide by the same model with the same errors are one point, under the first one's name.
    named = {
        (row.perplexity, row.result.counts.rate): row.result.name
        for row in reversed(contents.rows(reported))
        if row.perplexity is not None and row.result.counts.rate is not None
    }
    points = [(name, perplexity, rate) for (perplexity, rate), name in reversed(named.items())]
    if len({perplexity for _, perplexity, _ in points}) < 2:
        return
    drawing, axes = new_axes("perplexity a word on the references", _rate_name(contents))
    for place, (name, perplexity, rate) in enumerate(points):
        axes.plot(perplexity, rate, MARKERS[place % 8], color=SERIES[place % 8], markersize=8)
        note = axes.annotate(_shown(name), (perplexity, rate), (0, 9), textcoords="offset points", ha="center")
        note.set_fontsize(8)
        note.set_color(INK)
    axes.margins(0.25)
    axes.locator_params(axis="x", nbins=5)
    if max(point[1] for point in points) > 20 * min(point[1] for point in points):
        axes.set_xscale("log")
    text = "; ".join(f"{name}: perplexity {perplexity:.1f}, {rate:.2f} %" for name, perplexity, rate in points)
    yield Figure("perplexity", "Error rate against perplexity", text, drawing)


def _depths(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    table = reported.choices.table
    longest = int(table.lists.lengths.max())
    if longest < 2:
        return
    depths = sorted({depth for depth in DEPTHS if depth < longest} | {longest})
    drawing, axes = new_axes("hypotheses considered of each list", _rate_name(contents))
    curves = {name: _totals(table, weights) for name, weights in contents.weights.items() if weights.decision == "best"}
    curves[ORACLE] = -table.errors.sum(1).astype(np.float64)
    for place, (name, totals) in enumerate(curves.items()):
        rates = [table.word_errors(_best_of_first(table, totals, depth)).rate or 0.0 for depth in depths]
        dashed = "--" if name == ORACLE else "-"
        marker = MARKERS[place % 8]
        axes.plot(
            depths,
            rates,
            dashed,
            marker=marker,
            color=SERIES[place % 8],
            markersize=4,
            label=_shown(name),
            linewidth=1.6,
        )
    axes.set_xscale("log")
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.minorticks_off()
    _legend(axes)
    yield Figure("depth", "Error rate against list depth", f"For list depths {depths[0]} to {longest}", drawing)


def _totals(table: FeatureTable, weights: Weights) -> Any:
    return weights.totals(table)


def _best_of_first(table: FeatureTable, totals: Any, depth: int) -> Rows:
    return table.lists.best(np.where(table.lists.rank < depth, totals, -np.inf))


def _weights(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    weights = contents.weights[contents.headline]
    for number, name in enumerate(contents.members(contents.headline)[:MOST_WEIGHTS]):
        curves = {"test": weight_curve(reported.choices.table, weights, name)}
        if contents.development is not None:
            curves = {"development": weight_curve(contents.development.table, weights, name)} | curves
        found = {label: curve for label, curve in curves.items() if curve is not None}
        if not found:
            continue
        low, high = _weight_range(weights.values[name])
        drawing, axes = new_axes(f"weight of {_shown(name)}", _rate_name(contents))
        _draw_curves(axes, found, low, high, weights.values[name])
        heading = f"Error rate over the weight of {name}"
        yield Figure(f"weight-{number + 1}", heading, f"Between {low:.3g} and {high:.3g}, others as tuned", drawing)


def _weight_range(weight: float) -> tuple[float, float]:
    reach = 2.5 * abs(weight) or 1.0
    return (-reach, 0.0) if weight < 0 else (0.0, reach)


def _draw_curves(axes: Axes, curves: dict[str, WeightCurve], low: float, high: float, weight: float) -> None:
    for place, (label, curve) in enumerate(curves.items()):
        ends, rates = curve.steps(low, high)
        axes.stairs(rates, ends, baseline=None, color=SERIES[place], linewidth=1.4, label=label)
        if label == "development":
            flat = curve.flat()
            axes.axvspan(max(flat.low, low), min(flat.high, high), color=SERIES[place], alpha=0.12, linewidth=0)
    axes.axvline(weight, color=SOFT, linestyle="--", linewidth=1.2, label="tuned" if len(curves) > 1 else "weight")
    axes.set_xlim(low, high)
    _legend(axes)


def _by_length(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    lengths = reported.choices.table.reference_words.astype(np.float64)
    unit = f"{contents.measuring.unit}s of the reference"
    yield from _gains(contents, reported, lengths, unit, "length", "Gain by utterance length", "{:.0f}".format)


def _by_confidence(contents: ReportContents, reported: ReportedList) -> Iterator[Figure]:
    """The first pass's posterior of its own first hypothesis, under its re-tuned scores where there are any."""
    table = reported.choices.table
    weights = contents.weights.get(RETUNED)
    if weights is None:
        names = [column.name for column in table.columns if column.kind == "first-pass"]
        if not names:
            return
        weights = Weights(values=dict.fromkeys(names, 1.0))
    posterior = table.lists.softmax(weights.scale * weights.totals(table))[table.lists.starts]
    label = "posterior of the first hypothesis"
    yield from _gains(contents, reported, posterior, label, "confidence", "Gain by first-pass confidence", _share)


def _share(value: float) -> str:
    return "<0.01" if value < 0.01 else f"{value:.2f}"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low}–{high}"


def _gains(
    contents: ReportContents,
    reported: ReportedList,
    values: Any,
    label: str,
    name: str,
    heading: str,
    form: Callable[[float], str],
) -> Iterator[Figure]:
    table, rows = reported.choices.table, reported.choices.rows
    known = np.flatnonzero(table.referenced)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)))
    if len(known) < 2 * BINS or len(edges) < 3:
        return
    group = np.clip(np.searchsorted(edges, values[known], side="right") - 1, 0, len(edges) - 2)
    first, second = (table.counts(rows[system]) for system in (FIRST_PASS, contents.headline))
    drawing, axes = new_axes(label, "gain over the first pass, points")
    ticks, told = [], []
    for place in range(len(edges) - 1):
        inside = group == place
        # First pass less system: a gain is positive.
        difference = Resamples.draw([second[inside], first[inside]], resamples=2000).difference(0, 1)
        if difference.value is None:
            continue
        axes.bar(place, difference.value, 0.6, color=SERIES[0] if difference.value >= 0 else SERIES[1], alpha=0.85)
        if difference.interval:
            axes.plot([place] * 2, [difference.interval.low, difference.interval.high], color=INK, linewidth=1.2)
        ticks.append((place, f"{_range(form(edges[place]), form(edges[place + 1]))}\n{inside.sum()} utt."))
        told.append(f"{ticks[-1][1]}: {difference.value:+.2f}")
    if not ticks:
        return
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.set_xticks(*zip(*ticks, strict=True))
    axes.tick_params(axis="x", length=0, labelsize=8.5)
    told.insert(0, f"gain of {title(contents.headline)} over the first pass")
    yield Figure(name, heading, "; ".join(told), drawing)
