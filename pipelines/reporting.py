"""What ``rescore`` and ``compare`` leave behind besides their table: the HTML report, figures, Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import lists

if TYPE_CHECKING:
    from rich.table import Table

    from asr_lm.evaluation.comparison import Comparison
    from asr_lm.report.contents import ReportContents
    from asr_lm.rescoring.scoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development, SecondPass


@dataclass(frozen=True, eq=False)
class Reported:
    """A list that was reported on: its name, its second pass, its figures and those without overlaps."""

    path: str
    second_pass: SecondPass
    comparison: Comparison
    shares: dict[str, float]
    without: Comparison | None


def is_wanted(arguments: lists.Common) -> bool:
    """Whether a file is asked for that needs all scores at the end."""
    return any((arguments.report, arguments.plots, arguments.markdown))


def outputs(arguments: lists.Common) -> list[Path | None]:
    """The files asked for, to be checked before the work begins.

    Raises:
        InputError: what should be the folder of the figures is something else.
    """
    from asr_lm.errors import InputError

    if arguments.plots is not None and arguments.plots.exists() and not arguments.plots.is_dir():
        raise InputError("is a file, a folder was expected", field="--plots", file=arguments.plots)
    return [arguments.report, arguments.markdown]


def contents(
    arguments: lists.Common,
    models: Sequence[RescoringModel],
    reported: Sequence[Reported],
    development: Development | None,
    tuned_on: Sequence[str],
) -> ReportContents:
    """Everything there is to report; at least one list."""
    from asr_lm.report.contents import ModelFacts, ReportContents, ReportedList, perplexities

    weights = reported[0].second_pass.weights
    assert weights is not None
    return ReportContents(
        lists=[
            ReportedList(
                Path(part.path).name,
                part.second_pass.decided,
                part.comparison,
                perplexities(models, part.second_pass.decided.references),
            )
            for part in reported
        ],
        weights=weights,
        models=[ModelFacts.of(model) for model in models],
        measuring=lists.measuring(arguments),
        tuned_on=", ".join(Path(path).name for path in tuned_on),
        development=None if development is None else development.decided,
        notes=list(_notes(arguments, reported, development)),
        language_models=[model.model for model in models],
    )


def _notes(arguments: lists.Common, reported: Sequence[Reported], development: Development | None) -> Iterator[str]:
    if development is not None:
        names = [Path(path).name for path in getattr(arguments, "dev", ())]
        yield from lists.describe_development(development, names)
    for part in reported:
        for name, share in part.shares.items():
            if share:
                yield f"{Path(part.path).name}: {100 * share:.1f} % of the references are in the {name}"
    yield from lists.warnings()


def write(arguments: lists.Common, found: ReportContents) -> list[str]:
    """Write what is asked for; one line on each, to be printed.

    Raises:
        InputError: something cannot be written.
    """
    from asr_lm.files import write_text

    lines = []
    if arguments.markdown:
        from asr_lm.report.markdown import markdown

        write_text(arguments.markdown, markdown(found))
        lines.append(f"table written to {arguments.markdown}")
    if arguments.plots:
        from asr_lm.report.figures import save_figures

        written = save_figures(found, arguments.plots)
        lines.append(f"{len(written)} figure files written to {arguments.plots}")
    if arguments.report:
        from asr_lm.report.page import write_page

        write_page(found, arguments.report)
        lines.append(f"report written to {arguments.report}: open it in a browser")
    return lines


def model_table(found: ReportContents, place: int) -> Table:
    """One row a model: parameters, perplexity on the references, speed."""
    from rich.markup import escape

    from asr_lm.evaluation.formatting import number
    from asr_lm.evaluation.table import plain_table

    reported = found.lists[place]
    table = plain_table("model", "family", "parameters", "ppl/word", "hyp/s")
    for model in found.models:
        measured = reported.perplexity.get(model.name)
        perplexity = None if measured is None or measured.pseudo else measured.per_compared_word
        speed = "cached" if model.speed is None else f"{model.speed:,.0f}"
        table.add_row(escape(model.name), model.family, f"{model.parameters:,}", number(perplexity, 1), speed)
    return table


def weight_table(found: ReportContents) -> Table:
    """One row a weight of a system, and how flat the optimum is there."""
    from rich.markup import escape

    from asr_lm.evaluation.roles import title
    from asr_lm.evaluation.table import plain_table
    from asr_lm.report.markdown import flat_text
    from asr_lm.rescoring.tuning.flatness import TOLERANCE

    table = plain_table("system", "feature", "weight", f"dev within {TOLERANCE:g} points")
    table.columns[1].justify = "left"
    for name, weights in found.weighted.items():
        for place, (feature, value) in enumerate(weights.values.items()):
            interval = found.flat.get(name, {}).get(feature)
            flat = "–" if interval is None else flat_text(interval)
            table.add_row("" if place else escape(title(name)), escape(feature), f"{value:.4g}", flat)
    return table
