"""Rescore n-best lists with language models: ``python -m pipelines.rescore --nbest hyps.json``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from pipelines import correcting, from_lattices, lists, reporting, shared_scoring
from pipelines.command import OptionalPath, OptionalText, blaming, check_outputs, console, parse, run, unless_given
from pipelines.display import scoring_progress

if TYPE_CHECKING:
    from asr_lm.hypotheses.utterance import Utterance
    from asr_lm.rescoring.correction import Correction
    from asr_lm.rescoring.scoring.models import RescoringModel
    from asr_lm.rescoring.second_pass import Development, SecondPass
    from asr_lm.rescoring.weights import Weights

DESCRIPTION = """Rescore n-best lists with language models.

With --dev the weights are tuned there and applied to --nbest; with --weights they come from an earlier tuning; with
neither the packaged default weights are used. Weights are never tuned on the list they are reported on."""


@dataclass(kw_only=True)
class _Main:
    """The options that stand first in the help.

    Attributes:
        nbest: n-best list to rescore (file, folder, or - for standard input); may be given several times.
        dev: Development list with references, on which weights are tuned; may be given several times.
        weights: Weights of an earlier tuning.
        save_weights: Write the tuned weights here.
        out: Where the rescored list goes (.json, .jsonl, .trn, .ctm; .gz, .zst), or the folder it goes to as
            NAME.rescored.json (several lists need one); by default the current folder, or standard output for a list
            from standard input.
    """

    nbest: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    dev: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    weights: OptionalPath = None
    save_weights: OptionalPath = None
    out: OptionalText = None


@dataclass(kw_only=True)
class Arguments(from_lattices.LatticeOptions, lists.Common, _Main):
    """Options of ``rescore``.

    Attributes:
        mbr: Add a row for choosing by minimum Bayes risk, and with --lattice rows for what the rescored lattices say
            so, by minimum Bayes risk and by their confusion networks.
        features: Write the feature table of the list into this folder, too: Parquet, one row a hypothesis with its
            scores and errors.
        score_kind: What the first-pass scores are, for the default weights: log-probability of the utterance, average a
            token, or none; recognised by default.
        correct: Let the models that can (birnn-attention) write transcripts, which join the list as further hypotheses;
            needs --dev, or --weights tuned so.
        beam: Width of the beam search that writes.
        corrections: How many transcripts each of them writes for an utterance.
        plot_attention: Draw into this folder what an attentive model looked at.
        plot_utterances: Utterances to draw, by id; by default the first twelve whose output is not the recogniser's
            first hypothesis.
        plot_format: Format of these pictures.
    """

    mbr: bool = False
    features: OptionalPath = None
    score_kind: Annotated[Literal["sum", "mean", "rank"] | None, unless_given("{sum,mean,rank}")] = None
    correct: bool = False
    beam: int = 8
    corrections: int = 1
    plot_attention: OptionalPath = None
    plot_utterances: Annotated[tuple[str, ...], unless_given("ID [ID ...]")] = ()
    plot_format: Literal["svg", "png"] = "svg"


def main() -> None:
    """Run the command."""
    arguments = parse(Arguments, "rescore", DESCRIPTION)
    from_lattices.check(arguments)
    # Lattices become lists, which are only then there; everything else is known before the search.
    _check(from_lattices.as_lists(arguments) if arguments.lattice else arguments, are_there=not arguments.lattice)
    from asr_lm.files import write_text
    from asr_lm.rescoring.default_model import DEFAULT

    specifications = arguments.lm or (DEFAULT,)
    if not arguments.lm:
        console().print(lists.NO_MODEL)
    shared_scoring.meet(arguments, [*arguments.dev, *arguments.nbest])
    models = lists.models(arguments, specifications)
    _check_models(arguments, models)
    listed = from_lattices.list_hypotheses(arguments, models) if arguments.lattice else from_lattices.Listed()
    if arguments.lattice:
        _check(arguments)
    if not shared_scoring.take_part(arguments, models, arguments.dev, arguments.nbest):
        return
    development, weights = _weights(arguments, models, listed)
    records = {}
    for path in arguments.nbest:
        records[path] = _rescore(arguments, path, models, weights, development, listed)
    if arguments.json:
        record: Any = records[arguments.nbest[0]] if len(records) == 1 else {"lists": records}
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")
    if listed.unreadable:
        sys.exit(1)


def _check(arguments: Arguments, are_there: bool = True) -> None:
    """Refuse what cannot work before anything is read; ``are_there``: the lists are."""
    from asr_lm.errors import InputError
    from asr_lm.hypotheses.writing import format_of

    if not arguments.nbest:
        raise InputError("expected at least one list (or --lattice)", field="--nbest")
    _check_tuning(arguments)
    _check_features(arguments)
    if len(arguments.nbest) > 1 and reporting.is_wanted(arguments):
        raise InputError("a report of several lists is what compare --test writes; give one --nbest", field="--report")
    if len(arguments.nbest) > 1 and arguments.out is not None and not Path(arguments.out).is_dir():
        raise InputError("several lists need an existing folder", field="--out", file=arguments.out)
    if are_there:
        lists.check_lists(arguments.dev, arguments.nbest)
    outputs = [_out(arguments, path) for path in arguments.nbest]
    for path in outputs:
        format_of(path)
    inputs = [*arguments.nbest, *arguments.dev, arguments.weights, arguments.manifest, arguments.dev_manifest]
    check_outputs([*outputs, arguments.json, arguments.save_weights, *reporting.outputs(arguments)], inputs)


def _check_features(arguments: Arguments) -> None:
    from asr_lm.errors import InputError

    if arguments.features is None:
        return
    if len(arguments.nbest) > 1:
        raise InputError("a feature table is of one list; give one --nbest", field="--features")
    if arguments.features.exists() and not (arguments.features.is_dir() and not any(arguments.features.iterdir())):
        raise InputError("expected a folder that is new or empty", field="--features", file=arguments.features)


def _check_tuning(arguments: Arguments) -> None:
    from asr_lm.errors import InputError

    if arguments.dev and arguments.weights:
        raise InputError("give either --dev (tune here) or --weights (tuned before), not both")
    if (arguments.decision == "mbr" or arguments.mbr) and not (arguments.dev or arguments.weights):
        option = "--mbr" if arguments.mbr else "--decision"
        raise InputError("mbr needs posteriors, whose scale is tuned: give --dev or --weights", field=option)
    if arguments.score_kind and (arguments.dev or arguments.weights):
        raise InputError("is for the default weights; leave it out with --dev or --weights", field="--score-kind")
    if arguments.save_weights and not arguments.dev:
        raise InputError("there is nothing to save without --dev", field="--save-weights")
    if arguments.correct and not (arguments.dev or arguments.weights):
        raise InputError("needs weights that were tuned with corrections: give --dev or --weights", field="--correct")
    if arguments.plot_attention is not None and len(arguments.nbest) > 1:
        raise InputError("pictures are of one list; give one --nbest", field="--plot-attention")
    if arguments.plot_utterances and arguments.plot_attention is None:
        raise InputError("say where the pictures go, with --plot-attention", field="--plot-utterances")
    if arguments.subtract and not arguments.dev:
        raise InputError("bounds a weight that is tuned: give --dev", field="--subtract")


def _check_models(arguments: Arguments, models: list[RescoringModel]) -> None:
    """Refuse to correct where no model can."""
    from asr_lm.rescoring.correction import correctors

    if arguments.correct:
        correctors(models)
        _correction(arguments)


def _correction(arguments: Arguments) -> Correction | None:
    from asr_lm.rescoring.correction import Correction

    return Correction(arguments.beam, arguments.corrections) if arguments.correct else None


def _weights(
    arguments: Arguments, models: list[RescoringModel], listed: from_lattices.Listed
) -> tuple[Development | None, dict[str, Weights] | None]:
    from asr_lm.errors import InputError
    from asr_lm.evaluation.roles import CORRECTED, RESCORED
    from asr_lm.rescoring.second_pass import LEAST_RISK, deciding, systems_for_rescore
    from asr_lm.rescoring.weights import Weights

    if arguments.weights:
        weights = Weights.load(arguments.weights)
        _warn_of_other_models(weights, models)
        if (CORRECTED in weights.values) != arguments.correct:
            tuned = "with" if CORRECTED in weights.values else "without"
            raise InputError(f"these weights were tuned {tuned} --correct", file=arguments.weights, field="--weights")
        name = CORRECTED if arguments.correct else RESCORED
        systems = {name: weights.replaced(decision=arguments.decision or weights.decision)}
        if arguments.mbr and systems[name].decision == "best":
            systems[f"{name}, {LEAST_RISK}"] = weights.replaced(decision="mbr")
        return None, systems
    if not arguments.dev:
        return None, None
    development = lists.develop(
        arguments,
        arguments.dev,
        models,
        systems_for_rescore(models, arguments.correct),
        least_risk=arguments.mbr,
        correction=_correction(arguments),
    )
    if arguments.save_weights:
        fingerprints = lists.fingerprints(development, models)
        found = development.weights[deciding(development.weights)]
        found.replaced(fingerprints=fingerprints, lattice_scales=dict(listed.scales)).save(arguments.save_weights)
    return development, development.weights


def _warn_of_other_models(weights: Weights, models: list[RescoringModel]) -> None:
    for model in models:
        if weights.fingerprints.get(model.name, "") not in ("", model.model.fingerprint()):
            lists.warn(f"the weights were tuned with another model called {model.name}; tune them again with --dev")


def _rescore(
    arguments: Arguments,
    path: str,
    models: list[RescoringModel],
    weights: dict[str, Weights] | None,
    development: Development | None,
    listed: from_lattices.Listed,
) -> dict[str, Any]:
    from asr_lm.hypotheses.writing import write_nbest
    from asr_lm.rescoring.second_pass import SecondPass

    begin = time.monotonic()
    out = _out(arguments, path)
    with scoring_progress() as report:
        second_pass = SecondPass(
            models,
            weights,
            kind=arguments.score_kind if weights is None else None,
            measuring=lists.measuring(arguments),
            report=report,
            warn=lists.warn,
            features=arguments.features,
            keep=reporting.is_wanted(arguments),
            context=arguments.context,
            correction=_correction(arguments),
            others=listed.decided if arguments.mbr else None,
        )
        rescored: Any = _checked(second_pass, arguments, path, development)
        # Standard output cannot be taken back: nothing goes there before all is well.
        write_nbest(out, list(rescored) if out == "-" else rescored)
    output = console(stderr=out == "-")
    for line in _about(arguments, path, second_pass, development):
        output.print(line, markup=False, soft_wrap=True)
    record = _report(output, path, second_pass, arguments, development)
    seconds = time.monotonic() - begin
    noun = "utterance" if second_pass.utterances == 1 else "utterances"
    done = f"{second_pass.utterances:,} {noun} rescored in {seconds:.1f} s"
    output.print(done if out == "-" else f"{done}, written to {out}", markup=False, soft_wrap=True)
    return record


def _checked(
    second_pass: SecondPass, arguments: Arguments, path: str, development: Development | None
) -> Iterator[Utterance]:
    """The rescored utterances; a list that turns out to be the development list is refused before it is written."""
    folder = arguments.plot_attention
    with blaming(path):
        utterances = lists.utterances(arguments, path)
        if folder is None:
            yield from second_pass.rescore(utterances)
        else:
            ids, kind = arguments.plot_utterances, arguments.plot_format
            pictures = correcting.Pictures(second_pass.models, folder, ids, kind)
            yield from pictures.draw(second_pass.rescore(pictures.read(utterances)))
            pictures.check_all_drawn()
        lists.refuse_same_list(second_pass, development)


def _out(arguments: Arguments, path: str) -> str:
    """Where a list goes."""
    folder = arguments.out is None or Path(arguments.out).is_dir()
    if arguments.out is not None and not folder:
        return arguments.out
    if path == "-":
        return "-"
    name = Path(path).resolve().name
    for suffix in (".gz", ".zst", ".json", ".jsonl", ".tsv"):
        name = name.removesuffix(suffix)
    return str(Path(arguments.out or ".") / f"{name}.rescored.json")


def _about(arguments: Arguments, path: str, second_pass: SecondPass, development: Development | None) -> list[str]:
    """What a reader must know before the figures."""
    from asr_lm.rescoring.second_pass import deciding

    assert second_pass.weights is not None
    lines = ["", path] if len(arguments.nbest) > 1 else []
    if development is not None:
        lines += lists.describe_development(development, arguments.dev)
    elif arguments.weights:
        lines.append(f"weights from {arguments.weights}")
    else:
        why = "given" if arguments.score_kind else "recognised"
        lines.append(f"no --dev or --weights given: packaged default weights for {second_pass.kind!r} scores ({why})")
    values = second_pass.weights[deciding(second_pass.weights)].values
    lines.append("weights: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
    return lines


def _report(
    output: Any, path: str, second_pass: SecondPass, arguments: Arguments, development: Development | None
) -> dict[str, Any]:
    from asr_lm.rescoring.second_pass import deciding

    assert second_pass.weights is not None
    weights = second_pass.weights[deciding(second_pass.weights)].values
    tuned_on = ", ".join(arguments.dev) or str(arguments.weights or f"default weights ({second_pass.kind})")
    if not second_pass.references:
        if reporting.is_wanted(arguments):
            lists.warn("no reference was given, so no report was written")
        output.print("no reference was given, so there is no word error rate to report")
        return {"weights": weights, "tuned_on": tuned_on, "utterances": second_pass.utterances}
    comparison = second_pass.comparison()
    shares, without = lists.overlap_report(second_pass, development)
    output.print()
    lists.print_result(output, comparison, shares, without)
    if reporting.is_wanted(arguments):
        reported = [reporting.Reported(path, second_pass, comparison, shares, without)]
        found = reporting.contents(arguments, second_pass.models, reported, development, arguments.dev or [tuned_on])
        for line in reporting.write(arguments, found):
            output.print(line, markup=False, soft_wrap=True)
    record = lists.result_json(arguments, comparison, weights, tuned_on, shares, without)
    if arguments.correct:
        record["correction"] = correcting.report(output, second_pass, development)
    return record


if __name__ == "__main__":
    run(main)
