"""What ``rescore`` and ``compare`` leave behind besides their table: the HTML report, figures, Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from asr_lm.errors import InputError
from asr_lm.evaluation.formatting import number
from asr_lm.evaluation.roles import title
from asr_lm.evaluation.table import plain_table
from asr_lm.files import write_text
from asr_lm.report.contents import ModelFacts, ReportContents, ReportedList, perplexities
from asr_lm.report.figures import save_figures
from asr_lm.report.markdown import flat_text, markdown
from asr_lm.report.page import write_page
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.tuning.flatness import TOLERANCE
from pipelines import lists, tuning
from pipelines.display import Terminal
from pipelines.options import Common, ReportOptions
from pipelines.results import Result


def is_wanted(options: ReportOptions) -> bool:
    """Whether a file is asked for that needs all scores at the end."""
    return any((options.report, options.plots, options.markdown))


def outputs(options: ReportOptions) -> list[Path | None]:
    """The files asked for, to be checked before the work begins.

    Raises:
        InputError: what should be the folder of the figures is something else.
    """
    if options.plots is not None and options.plots.exists() and not options.plots.is_dir():
        raise InputError("is a file, a folder was expected", parameter="plots", file=options.plots)
    return [options.report, options.markdown]


def contents(
    options: Common, results: Sequence[tuple[Result, Choices]], tuned_on: Sequence[str], terminal: Terminal
) -> ReportContents:
    """Everything there is to report on at least one list; each has its figures and all its features."""
    first = results[0][0].evaluation
    development = first.tuned.development
    return ReportContents(
        lists=[_reported(*result) for result in results],
        systems=first.tuned.systems,
        weights=first.tuned.by_system,
        models=[ModelFacts.of(model) for model in first.models],
        measuring=lists.measuring(options),
        tuned_on=", ".join(Path(path).name for path in tuned_on),
        development=None if development is None else development.choices,
        notes=[*_notes([result for result, _ in results], tuned_on, options.unit), *terminal.warnings],
        held_out=[] if development is None else tuning.held_out(first.tuned, options.unit),
        language_models=[model.model for model in first.models],
    )


def _reported(result: Result, choices: Choices) -> ReportedList:
    measured = perplexities(result.evaluation.models, choices.references)
    return ReportedList(Path(result.path).name, choices, result.comparison, measured, result.confidence)


def _notes(results: Sequence[Result], tuned_on: Sequence[str], unit: str) -> Iterator[str]:
    tuned = results[0].evaluation.tuned
    if tuned.development is not None:
        yield from tuning.describe(tuned, [Path(path).name for path in tuned_on], unit)
    for result in results:
        for name, share in result.shares.items():
            if share:
                yield f"{Path(result.path).name}: {100 * share:.1f} % of the references are in the {name}"


def write(options: ReportOptions, found: ReportContents) -> list[str]:
    """Write what is asked for; one line on each, to be printed.

    Raises:
        InputError: something cannot be written.
    """
    lines = []
    if options.markdown:
        write_text(options.markdown, markdown(found))
        lines.append(f"table written to {options.markdown}")
    if options.plots:
        written = save_figures(found, options.plots)
        lines.append(f"{len(written)} figure files written to {options.plots}")
    if options.report:
        write_page(found, options.report)
        lines.append(f"report written to {options.report}: open it in a browser")
    return lines


def model_table(found: ReportContents, place: int) -> Table:
    """One row a model: parameters, perplexity on the references, speed."""

    reported = found.lists[place]
    table = plain_table("model", "family", "parameters", "ppl/word", "hyp/s")
    for model in found.models:
        measured = reported.perplexity.get(model.name)
        perplexity = None if measured is None or measured.pseudo else measured.per_compared_word
        table.add_row(
            escape(model.name), model.family, f"{model.parameters:,}", number(perplexity, 1), number(model.speed, 0)
        )
    return table


def weight_table(found: ReportContents) -> Table:
    """One row a weight of a system, and how flat the optimum is there."""

    table = plain_table("system", "feature", "weight", f"dev within {TOLERANCE:g} points")
    table.columns[1].justify = "left"
    for name, weights in found.weighted.items():
        for place, (feature, value) in enumerate(weights.values.items()):
            interval = found.flat.get(name, {}).get(feature)
            flat = "–" if interval is None else flat_text(interval)
            table.add_row("" if place else escape(title(name)), escape(feature), f"{value:.4g}", flat)
    return table
