"""Compare language models on n-best lists: ``python -m pipelines.compare --dev DEV --test TEST --lm A --lm B``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pipelines import lists, reporting, shared_scoring
from pipelines.command import OptionalPath, OptionalText, blaming, check_outputs, console, parse, run
from pipelines.display import scoring_progress

if TYPE_CHECKING:
    from asr_lm.report.contents import ReportContents
    from asr_lm.rescoring.scoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development

DESCRIPTION = """Compare language models: each alone and all together, weights tuned on --dev, error rates on --test."""


@dataclass(kw_only=True)
class _Main:
    """The options that stand first in the help.

    Attributes:
        dev: Development list with references; may be given several times.
        test: List with references that is reported on; may be given several times.
    """

    dev: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    test: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


@dataclass(kw_only=True)
class Arguments(lists.Common, _Main):
    """Options of ``compare``.

    Attributes:
        combine: Names of models with + between them, as A+B: a row of their own, besides each alone and all together.
            May be given several times.
        baseline: Row that the others are tested against, by its name; by default the re-tuned first pass. All rows are
            tested against the first pass and the row above, too.
        mbr: Add a row for the last system choosing by minimum Bayes risk.
        save_weights: Write the weights of every system into this folder, one file each, for rescore --weights.
    """

    combine: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    baseline: OptionalText = None
    mbr: bool = True
    save_weights: OptionalPath = None


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "compare", DESCRIPTION)
    from asr_lm.errors import InputError
    from asr_lm.files import write_text
    from asr_lm.rescoring.default_model import DEFAULT
    from asr_lm.rescoring.second_pass import systems_for_comparison

    for option, given in (("--dev", arguments.dev), ("--test", arguments.test)):
        if not given:
            raise InputError("expected at least one list", field=option)
    lists.check_lists(arguments.dev, arguments.test)
    inputs = [*arguments.dev, *arguments.test, arguments.manifest, arguments.dev_manifest]
    check_outputs([arguments.json, *reporting.outputs(arguments)], inputs)
    if arguments.save_weights and arguments.save_weights.exists() and not arguments.save_weights.is_dir():
        raise InputError("is a file, a folder was expected", field="--save-weights", file=arguments.save_weights)
    if not arguments.lm:
        console().print(lists.NO_MODEL)
    shared_scoring.meet(arguments, [*arguments.dev, *arguments.test])
    models = lists.models(arguments, arguments.lm or (DEFAULT,))
    if not shared_scoring.take_part(arguments, models, arguments.dev, arguments.test):
        return
    systems = systems_for_comparison(models, arguments.combine, arguments.subtract)
    baseline = None if arguments.baseline is None else _row(arguments.baseline, systems)
    development = lists.develop(arguments, arguments.dev, models, systems, least_risk=arguments.mbr)
    output = console(stderr=False)
    for line in lists.describe_development(development, arguments.dev):
        output.print(line, markup=False, soft_wrap=True)
    results = [_second_pass(arguments, path, models, development, baseline) for path in arguments.test]
    found = reporting.contents(arguments, models, results, development, arguments.dev)
    records = {
        result.path: _told(arguments, found, place, result, development, output) for place, result in enumerate(results)
    }
    output.print()
    output.print(reporting.weight_table(found))
    if arguments.json:
        record: Any = records[arguments.test[0]] if len(records) == 1 else {"lists": records}
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")
    if arguments.save_weights:
        written = save_weights(development, models, arguments.save_weights)
        output.print(
            f"{len(written)} files of weights written to {arguments.save_weights}", markup=False, soft_wrap=True
        )
    for line in reporting.write(arguments, found):
        output.print(line, markup=False, soft_wrap=True)


def _row(asked: str, systems: Iterable[str]) -> str:
    """The system that a row is called by.

    Raises:
        InputError: there is no such row.
    """
    from asr_lm.errors import InputError
    from asr_lm.evaluation.roles import FIRST_PASS, title

    rows = {title(name): name for name in (FIRST_PASS, *systems)}
    wanted = " + ".join(part.strip() for part in asked.split("+"))
    if wanted not in rows:
        raise InputError(f"no row is called {asked!r}; there are {', '.join(rows)}", field="--baseline")
    return rows[wanted]


def _second_pass(
    arguments: Arguments, path: str, models: list[RescoringModel], development: Development, baseline: str | None
) -> reporting.Reported:
    from asr_lm.rescoring.second_pass import SecondPass

    with scoring_progress() as report, blaming(path):
        second_pass = SecondPass(
            models,
            development.weights,
            measuring=replace(lists.measuring(arguments), baseline=baseline),
            report=report,
            warn=lists.warn,
            keep=True,
            context=arguments.context,
        )
        for _ in second_pass.rescore(lists.utterances(arguments, path)):
            pass
        lists.refuse_same_list(second_pass, development)
        comparison = second_pass.comparison()
    shares, without = lists.overlap_report(second_pass, development)
    return reporting.Reported(path, second_pass, comparison, shares, without)


def _told(
    arguments: Arguments,
    found: ReportContents,
    place: int,
    result: reporting.Reported,
    development: Development,
    output: Any,
) -> dict[str, Any]:
    """Print the tables of a list; its record for ``--json``."""
    output.print(f"\n{result.path}", markup=False, soft_wrap=True)
    lists.print_result(output, result.comparison, result.shares, result.without)
    output.print()
    output.print(reporting.model_table(found, place))
    weights = {name: weights.values for name, weights in development.weights.items()}
    tuned_on = ", ".join(arguments.dev)
    record = lists.result_json(arguments, result.comparison, weights, tuned_on, result.shares, result.without)
    for row in found.rows(found.lists[place]):
        name = row.result.name
        record.get("systems", {}).get(name, record.get(name, {})).update(row.to_json())
    return record


def save_weights(development: Development, models: Sequence[RescoringModel], folder: Path) -> list[Path]:
    """Write the weights of every system, with their figures and fingerprints; the paths written.

    Raises:
        InputError: the folder or a file cannot be written.
    """
    from asr_lm.files import make_folder

    make_folder(folder)
    fingerprints = lists.fingerprints(development, models)
    paths: list[Path] = []
    for name, weights in development.weights.items():
        stem = re.sub(r"[^\w.+-]", "_", name.replace(" + ", "+").replace(", ", "."), flags=re.ASCII)
        taken = [path.stem.lower() for path in paths]
        # Names that differ in signs alone, or in case, which not every file system keeps apart.
        while stem.lower() in taken:
            stem += "_"
        paths.append(folder / f"{stem}.json")
        weights.replaced(fingerprints=fingerprints).save(paths[-1])
    return paths


if __name__ == "__main__":
    run(main)
