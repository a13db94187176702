"""What ``compare`` does: every model alone and all together, tuned on one list and measured on others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.roles import FIRST_PASS, title
from asr_lm.files import make_folder, write_text
from asr_lm.report.contents import ReportContents
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.correction import correctors
from asr_lm.rescoring.evaluation import Evaluation
from asr_lm.rescoring.list_sources import FileLists
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.second_pass import rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import Systems, systems_for_comparison
from asr_lm.rescoring.tuned import Tuned
from pipelines import correcting, lists, reporting, shared_scoring, tuning
from pipelines.command import blaming, check_outputs, console
from pipelines.display import Terminal
from pipelines.results import Result

if TYPE_CHECKING:
    from pipelines.compare import Arguments


def compare(options: Arguments) -> None:
    """Run the command."""
    with lists.together(options, "test") as joint:
        scoring = _check(joint, inputs=(*options.dev, *options.test, *options.files()))
        _compare(joint, scoring)


def _compare(options: Arguments, scoring: Scoring) -> None:
    """Run the command on lists that are one recogniser's, or joined."""
    terminal = Terminal()
    alone = "recombine" if options.recombine == "auto" else "correct" if options.correct else None
    cache = shared_scoring.meet(options, options.test, options.dev, alone)
    models = lists.models(options, terminal, cache)
    if options.correct:
        correctors(models)
    if not shared_scoring.take_part(options, models, options.dev, options.test, terminal):
        return
    names = [model.name for model in models]
    systems = systems_for_comparison(names, options.combine, options.subtract, options.correct)
    baseline = None if options.baseline is None else _row(options.baseline, systems.with_rules(options.rules))
    source = FileLists(lambda: lists.development_utterances(options, options.dev, terminal))
    rows = systems.with_rules(options.rules)
    tuned = tuning.tuned(options, source, options.dev, models, rows, terminal, scoring, force=options.force)
    output = console(stderr=False)
    for line in tuning.describe(tuned, options.dev, options.unit):
        output.print(line, markup=False, soft_wrap=True)
    reported = [_result(options, path, models, tuned, baseline, scoring, terminal) for path in options.test]
    results = [result for result, _ in reported]
    found = reporting.contents(options, reported, options.dev, terminal)
    records = {result.path: _told(options, found, place, result, output) for place, result in enumerate(results)}
    output.print()
    output.print(reporting.weight_table(found))
    if options.json:
        record: Any = records[options.test[0]] if len(records) == 1 else {"lists": records}
        write_text(options.json, json.dumps(record, indent=2) + "\n")
    if options.save_weights:
        count = len(save_weights(tuned, options.save_weights))
        output.print(
            f"{counted(count, 'file')} of weights written to {options.save_weights}", markup=False, soft_wrap=True
        )
    for line in reporting.write(options, found):
        output.print(line, markup=False, soft_wrap=True)


def _check(options: Arguments, inputs: Sequence[str | Path]) -> Scoring:
    """Refuse what cannot work before any list is read, or an output in the place of an input; how lists are scored."""
    for parameter, given in (("dev", options.dev), ("test", options.test)):
        if not given:
            raise InputError("expected at least one list", parameter=parameter)
    lists.check_rules(options, options.rules)
    lists.check_lists(options.dev, options.test)
    check_outputs([options.json, *reporting.outputs(options)], [*inputs, *options.heard()])
    if options.save_weights and options.save_weights.exists() and not options.save_weights.is_dir():
        raise InputError("is a file, a folder was expected", parameter="save_weights", file=options.save_weights)
    return Scoring(options.context, options.correction(), acoustics=lists.acoustics(options))


def _row(asked: str, systems: Systems) -> str:
    """The system that a row is called by.

    Raises:
        InputError: there is no such row.
    """
    rows = {title(name): name for name in (FIRST_PASS, *(system.name for system in systems.rows))}
    wanted = " + ".join(part.strip() for part in asked.split("+"))
    if wanted not in rows:
        raise InputError(f"no row is called {asked!r}; there are {', '.join(rows)}", parameter="baseline")
    return rows[wanted]


def _result(
    options: Arguments,
    path: str,
    models: list[RescoringModel],
    tuned: Tuned,
    baseline: str | None,
    scoring: Scoring,
    terminal: Terminal,
) -> tuple[Result, Choices]:
    """The figures of a list, and all its features."""
    with terminal.scoring(), blaming(path):
        lists.expect(options, path, models, terminal)
        parts = rescore(
            lists.utterances(options, path, terminal),
            models,
            tuned,
            measuring=lists.measuring(options, baseline),
            scoring=scoring,
            progress=terminal,
        )
        evaluation, kept = Evaluation(), []
        for part in parts:
            evaluation.add(part)
            kept.append(part.whole_choices)
        return Result.of(path, evaluation, terminal), Choices.concatenate(kept)


def _told(options: Arguments, found: ReportContents, place: int, result: Result, output: Console) -> dict[str, Any]:
    """Print the tables of a list; its record for ``--json``."""
    output.print(f"\n{result.path}", markup=False, soft_wrap=True)
    result.print(output)
    output.print()
    output.print(reporting.model_table(found, place))
    weights = {name: weights.values for name, weights in result.evaluation.tuned.by_system.items()}
    record = result.to_json(options, weights, ", ".join(options.dev))
    if (corrected := result.evaluation.correction_report()) is not None:
        record["correction"] = correcting.report(output, result.evaluation, corrected)
    for row in found.rows(found.lists[place]):
        name = row.result.name
        record.get("systems", {}).get(name, record.get(name, {})).update(row.to_json())
    return record


def save_weights(tuned: Tuned, folder: Path) -> list[Path]:
    """Write the weights of every system, with their figures and fingerprints; the paths written.

    Raises:
        InputError: the folder or a file cannot be written.
    """
    make_folder(folder)
    paths: list[Path] = []
    for name in tuned.by_system:
        stem = re.sub(r"[^\w.+-]", "_", name.replace(" + ", "+").replace(", ", "."), flags=re.ASCII)
        taken = [path.stem.lower() for path in paths]
        # Names that differ in signs alone, or in case, which not every file system keeps apart.
        while stem.lower() in taken:
            stem += "_"
        paths.append(folder / f"{stem}.json")
        tuned.weights_for(name).save(paths[-1])
    return paths
