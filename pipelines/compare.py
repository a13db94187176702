"""Compare language models on n-best lists: ``python -m pipelines.compare --dev DEV --test TEST --lm A --lm B``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pipelines import lists
from pipelines.command import blaming, check_outputs, console, parse, run
from pipelines.display import scoring_progress

if TYPE_CHECKING:
    from asr_lm.rescoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development

DESCRIPTION = """Compare language models: each alone and all together, weights tuned on --dev, error rates on --test."""


@dataclass(kw_only=True)
class Arguments(lists.Common):
    """Options of ``compare``."""

    dev: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """Development list with references; may be given several times."""
    test: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """List with references that is reported on; may be given several times."""


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "compare", DESCRIPTION)
    from asr_lm.errors import InputError
    from asr_lm.files import write_text
    from asr_lm.rescoring.default_model import DEFAULT
    from asr_lm.rescoring.second_pass import systems_for_comparison

    if not arguments.dev or not arguments.test:
        raise InputError("expected --dev and --test")
    lists.check_lists(arguments.dev, arguments.test)
    check_outputs([arguments.json], [*arguments.dev, *arguments.test])
    if not arguments.lm:
        console().print(lists.NO_MODEL)
    models = lists.models(arguments, arguments.lm or (DEFAULT,))
    development = lists.develop(arguments, arguments.dev, models, systems_for_comparison(models))
    output = console(stderr=False)
    for line in lists.describe_development(development, arguments.dev):
        output.print(line, markup=False, soft_wrap=True)
    records = {path: _compare(arguments, path, models, development, output) for path in arguments.test}
    if arguments.json:
        record: Any = records[arguments.test[0]] if len(records) == 1 else {"lists": records}
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")


def _compare(
    arguments: Arguments, path: str, models: list[RescoringModel], development: Development, output: Any
) -> dict[str, Any]:
    from asr_lm.rescoring.second_pass import SecondPass

    with scoring_progress() as report, blaming(path):
        second_pass = SecondPass(
            models, development.weights, measuring=lists.measuring(arguments), report=report, warn=lists.warn
        )
        for _ in second_pass.rescore(lists.utterances(arguments, path)):
            pass
        lists.refuse_same_list(second_pass, development)
        comparison = second_pass.comparison()
    shares, without = lists.overlap_report(second_pass, development)
    output.print(f"\n{path}", markup=False, soft_wrap=True)
    lists.print_result(output, comparison, shares, without)
    weights = {name: weights.values for name, weights in development.weights.items()}
    return lists.result_json(comparison, weights, ", ".join(arguments.dev), shares, without)


if __name__ == "__main__":
    run(main)
