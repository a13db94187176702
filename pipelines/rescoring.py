"""What ``rescore`` does: lists or lattices in, a rescored list and its figures out."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.files import make_folder, write_text
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import format_of, write_nbest
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.correction import correctors
from asr_lm.rescoring.evaluation import Evaluation
from asr_lm.rescoring.features.shards import write_shard
from asr_lm.rescoring.features.table import CORRECTED_TEXT
from asr_lm.rescoring.framing import settle_framings
from asr_lm.rescoring.list_sources import FileLists, ListSource
from asr_lm.rescoring.phrases.features import Phrases
from asr_lm.rescoring.phrases.phrase_list import PhraseList
from asr_lm.rescoring.recombination import settle_recombination
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.second_pass import Rescored
from asr_lm.rescoring.second_pass import rescore as rescored_shards
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import systems_for_rescore
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights
from asr_lm.storage import is_remote
from pipelines import correcting, lists, on_ray, reporting, searching, shared_scoring, tuning
from pipelines.command import blaming, check_outputs, console
from pipelines.display import Terminal
from pipelines.results import Result

if TYPE_CHECKING:
    from pipelines.rescore import Arguments


@dataclass(frozen=True, eq=False)
class _Job:
    """Everything that is known before the first list is rescored.

    Attributes:
        options: the command line.
        models: all models.
        terminal: is told.
        tuned: weights; None for the packaged ones.
        search: lattices that are searched, in place of lists.
        scoring: how hypotheses are scored.
        left_out: lists of which rows were left out.
    """

    options: Arguments
    models: list[RescoringModel]
    terminal: Terminal
    tuned: Tuned | None
    search: searching.LatticeSearch | None = None
    scoring: Scoring = field(default_factory=Scoring)
    left_out: list[str] = field(default_factory=list)

    @property
    def tuned_on(self) -> list[str]:
        """What the development lists are called."""
        return _development(self.options)


def rescore(options: Arguments) -> None:
    """Run the command."""
    if options.together and options.lattice is not None:
        raise InputError("joins n-best lists, not lattices", parameter="together")
    if options.recording_words:
        _check_recording_words(options)
    with lists.together(options, "nbest") as joint:
        scoring = _check(joint, inputs=(*options.nbest, *options.dev, *options.files()))
        _rescore(joint, scoring)


def _check_recording_words(options: Arguments) -> None:
    """The score of the recording's words is of lists, and its weight is tuned."""
    if options.lattice is not None or options.dev_lattice is not None:
        raise InputError("scores n-best lists, not lattices", parameter="recording_words")
    if not (options.dev or options.weights):
        raise InputError("needs weights tuned with it: give --dev or --weights", parameter="recording_words")


def _rescore(options: Arguments, scoring: Scoring) -> None:
    """Run the command on lists that are one recogniser's, or joined."""
    terminal = Terminal()
    cache = shared_scoring.meet(options, options.nbest, options.dev, alone=_alone(options))
    models = lists.models(options, terminal, cache)
    if options.correct:
        correctors(models)
    search = searching.LatticeSearch.open(options, models, terminal, scoring.phrases) if options.lattice else None
    if not shared_scoring.take_part(options, models, options.dev, options.nbest, terminal):
        return
    job = _Job(options, models, terminal, _tuned(options, models, search, terminal, scoring), search, scoring)
    records = {path: _rescored(job, path) for path in _reported(options)}
    if search is not None:
        search.write(job.tuned)
    if options.json:
        record: Any = next(iter(records.values())) if len(records) == 1 else {"lists": records}
        write_text(options.json, json.dumps(record, indent=2) + "\n")
    if (search is not None and search.unreadable) or job.left_out:
        sys.exit(1)


def _alone(options: Arguments) -> str | None:
    """The parameter whose work only one process can do."""
    if options.recombine == "auto":
        return "recombine"
    return "correct" if options.correct else "lattice" if options.lattice else None


def _reported(options: Arguments) -> list[str]:
    """What is rescored, by name."""
    return [str(options.lattice)] if options.lattice else list(options.nbest)


def _development(options: Arguments) -> list[str]:
    return [str(options.dev_lattice)] if options.dev_lattice else list(options.dev)


def _check(options: Arguments, inputs: Sequence[str | Path]) -> Scoring:
    """Refuse what cannot work before any list is read, or an output in the place of an input; how lists are scored."""
    searching.check(options)
    on_ray.check(options)
    if not _reported(options):
        raise InputError("expected at least one list (or --lattice)", parameter="nbest")
    lists.check_rules(options, options.rules)
    _check_tuning(options)
    _check_one_list(options)
    scoring = _scoring(options)
    lists.check_lists(options.dev, [path for path in options.nbest if not (_on_ray(options) and is_remote(path))])
    outputs = [_out(options, path) for path in _reported(options)]
    for path in outputs:
        if _on_ray(options):
            on_ray.Places(path, _is_folder(path)).check()
        else:
            format_of(path)
    outputs = [path for path in outputs if not (_on_ray(options) and _is_folder(path))]
    written = [*outputs, options.json, options.save_weights, options.mbr_out, *reporting.outputs(options)]
    with _new_folder(options, keep=False):
        check_outputs(written, [*inputs, options.weights, options.phrases, *options.heard()])
    return scoring


def _on_ray(options: Arguments) -> bool:
    return options.engine == "ray"


def _is_folder(out: str) -> bool:
    """Whether an output is a folder: there is one, or it ends as the names of folders do."""
    return Path(out).is_dir() or out.endswith(("/", os.sep))


@contextlib.contextmanager
def _new_folder(options: Arguments, *, keep: bool) -> Iterator[None]:
    """Make the folder of the lists where it is new; it goes again where something is wrong, or unless it is kept."""
    folder = Path(options.out or ".")
    wanted = options.out is not None and not _on_ray(options) and _is_folder(options.out)
    new = [path for path in (folder, *folder.parents) if wanted and not path.exists()]
    if new:
        make_folder(folder)
    try:
        yield
    except InputError:
        _remove(new)
        raise
    if not keep:
        _remove(new)


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        folder.rmdir()


def _check_one_list(options: Arguments) -> None:
    """Some things are of one list."""
    several = len(options.nbest) > 1
    if several and _on_ray(options) and options.out is not None:
        raise InputError("the workers of Ray write one list to it; give one --nbest, or no --out", parameter="out")
    if several and reporting.is_wanted(options):
        raise InputError(
            "a report of several lists is what compare --test writes; give one --nbest", parameter="report"
        )
    if several and options.out is not None and not _is_folder(options.out):
        message = "several lists need an existing folder, or a new one with / at its end"
        raise InputError(message, parameter="out", file=options.out)
    if several and options.plot_attention is not None:
        raise InputError("pictures are of one list; give one --nbest", parameter="plot_attention")
    if options.features is None:
        return
    if several:
        raise InputError("a feature table is of one list; give one --nbest", parameter="features")
    if options.features.exists() and not (options.features.is_dir() and not any(options.features.iterdir())):
        raise InputError("expected a folder that is new or empty", parameter="features", file=options.features)


def _check_tuning(options: Arguments) -> None:
    """What needs weights has them, and they come from one place."""
    tuned_here = bool(_development(options))
    if options.dev and options.weights:
        raise InputError("give either --dev (tune here) or --weights (tuned before), not both")
    if not (tuned_here or options.weights):
        _check_without_weights(options)
    elif options.score_kind:
        raise InputError("is for the default weights; leave it out with --dev or --weights", parameter="score_kind")
    if options.save_weights and not tuned_here:
        raise InputError("there is nothing to save without --dev", parameter="save_weights")
    if options.force and not tuned_here:
        raise InputError("applies what was tuned whatever held-out utterances say: give --dev", parameter="force")
    if options.plot_utterances and options.plot_attention is None:
        raise InputError("say where the pictures go, with --plot-attention", parameter="plot_utterances")
    if options.subtract and not tuned_here:
        raise InputError("bounds a weight that is tuned: give --dev", parameter="subtract")


def _check_without_weights(options: Arguments) -> None:
    """The packaged weights know nothing of posteriors and corrections."""
    for name in (*options.rules, *([options.decision] if options.decision else [])):
        if name != "best":
            parameter = "decision" if name == options.decision else "mbr" if options.mbr else "also"
            raise InputError(
                f"{name} needs posteriors, whose scale is tuned: give --dev or --weights", parameter=parameter
            )
    if options.confidence:
        raise InputError("needs a calibration that is tuned: give --dev or --weights", parameter="confidence")
    if options.correct:
        raise InputError("needs weights that were tuned with corrections: give --dev or --weights", parameter="correct")


def _scoring(options: Arguments) -> Scoring:
    if options.trust_phrases and not options.phrases:
        raise InputError("is for listed phrases, and there are none", parameter="trust_phrases")
    listed = PhraseList.read(options.phrases) if options.phrases else None
    phrases = None if listed is None else Phrases(listed, trusted=options.trust_phrases)
    heard = lists.acoustics(options)
    return Scoring(options.context, options.correction(), options.confidence, phrases, heard)


def _tuned(
    options: Arguments,
    models: Sequence[RescoringModel],
    search: searching.LatticeSearch | None,
    terminal: Terminal,
    scoring: Scoring,
) -> Tuned | None:
    """The weights, tuned here or before; None for the packaged ones."""
    if options.weights:
        return _loaded(options, options.weights, models, terminal)
    names = _development(options)
    if not names:
        return None
    files = FileLists(lambda: lists.development_utterances(options, options.dev, terminal))
    source: ListSource = search.development if search else files
    systems = systems_for_rescore([model.name for model in models], options.correct).with_rules(options.rules)
    # A lattice is searched with the weights of models: without them there is nothing to search.
    force = options.force or search is not None
    found = tuning.tuned(options, source, names, models, systems, terminal, scoring, force)
    if search is not None:
        search.tune_scales(found)
    if options.save_weights:
        found.save(options.save_weights, search.scales if search else None)
    return found


def _loaded(options: Arguments, path: Path, models: Sequence[RescoringModel], terminal: Terminal) -> Tuned:
    weights = Weights.load(path)
    if (CORRECTED_TEXT in weights.values) != options.correct:
        tuned = "with" if CORRECTED_TEXT in weights.values else "without"
        raise InputError(f"these weights were tuned {tuned} --correct", file=path, parameter="weights")
    if options.confidence and weights.calibration is None:
        message = "no calibration; tune it with --dev, --confidence and --save-weights"
        raise InputError(message, file=path, field="calibration")
    settle_framings(models, weights.reading)
    settle_recombination(models, weights)
    for model in models:
        if weights.fingerprints.get(model.name, "") not in ("", model.model.fingerprint()):
            terminal.warn(f"the weights were tuned with another model called {model.name}; tune them again with --dev")
    return Tuned.of_weights(weights.replaced(decision=options.decision or weights.decision), models, options.rules)


def _rescored(job: _Job, path: str) -> dict[str, Any]:
    """Rescore one list, write it, and say what there is to say."""
    options, begin = job.options, time.monotonic()
    out = _out(options, path)
    parts = _Parts(Evaluation(), [] if reporting.is_wanted(options) else None)
    if _on_ray(options):
        parts = _Parts(_on_cluster(job, path, out), None)
    else:
        _in_process(job, path, out, parts)
    output = console(stderr=out == "-")
    for line in _about(job, path, parts.evaluation.tuned):
        output.print(line, markup=False, soft_wrap=True)
    record = _told(job, path, parts, output)
    count, seconds = parts.evaluation.utterances, time.monotonic() - begin
    done = f"{counted(count, 'utterance')} rescored in {seconds:.1f} s"
    output.print(done if out == "-" else f"{done}, written to {out}", markup=False, soft_wrap=True)
    return record


def _on_cluster(job: _Job, path: str, out: str) -> Evaluation:
    options = job.options
    with job.terminal.scoring(), blaming(path):
        added = on_ray.rescored(
            options,
            path,
            on_ray.Places(out, _is_folder(out)),
            job.models,
            job.tuned,
            lists.measuring(options),
            job.scoring,
            job.terminal,
        )
    if added.bad:
        job.left_out.append(path)
    return added.evaluation


def _in_process(job: _Job, path: str, out: str, parts: _Parts) -> None:
    with _new_folder(job.options, keep=True), job.terminal.scoring():
        found = _utterances(job, path, parts)
        # Standard output cannot be taken back: nothing goes there before all is well.
        write_nbest(out, list(found) if out == "-" else found, unique=True)


@dataclass(frozen=True, eq=False)
class _Parts:
    """What is remembered of a list that goes by.

    Attributes:
        evaluation: its figures.
        choices: all its features, for a report; None where there is to be none.
    """

    evaluation: Evaluation
    choices: list[Choices] | None

    def add(self, part: Rescored) -> None:
        """The next part."""
        self.evaluation.add(part)
        if self.choices is not None:
            self.choices.append(part.whole_choices)


def _utterances(job: _Job, path: str, parts: _Parts) -> Iterator[Utterance]:
    """The rescored utterances, as they are ready; what the evaluation needs of them is added to ``parts``."""
    options = job.options
    files = FileLists(lambda: lists.utterances(options, path, job.terminal))
    source: ListSource = job.search.reported if job.search else files
    # Around the reading, not the writing, which would take what is wrong with the list for a fault of its own file.
    with blaming(path):
        if job.search is None:
            lists.expect(options, path, job.models, job.terminal)
        utterances = source.utterances(job.tuned)
        if options.plot_attention is None:
            yield from _stream(job, utterances, parts)
            return
        ids, kind = options.plot_utterances, options.plot_format
        pictures = correcting.Pictures(job.models, options.plot_attention, ids, kind)
        yield from pictures.draw(_stream(job, pictures.read(utterances), parts))
        pictures.check_all_drawn()


def _stream(job: _Job, utterances: Iterator[Utterance], parts: _Parts) -> Iterator[Utterance]:
    options = job.options
    stream = rescored_shards(
        utterances,
        job.models,
        job.tuned,
        kind=options.score_kind,
        measuring=lists.measuring(options),
        scoring=job.scoring,
        progress=job.terminal,
    )
    for number, part in enumerate(stream):
        if options.features:
            write_shard(part.table, options.features, number)
        parts.add(part if job.search is None else job.search.with_rules(part))
        yield from part.utterances


def _out(options: Arguments, path: str) -> str:
    """Where a list goes."""
    folder = options.out is None or _is_folder(options.out)
    if options.out is not None and (not folder or _on_ray(options)):
        return options.out
    if path == "-":
        return "-"
    name = Path(path).resolve().name
    for suffix in (".gz", ".zst", ".json", ".jsonl", ".tsv", ".ark", ".slf", ".lat", ".txt"):
        name = name.removesuffix(suffix)
    return str(Path(options.out or ".") / f"{name}.rescored.json")


def _about(job: _Job, path: str, tuned: Tuned) -> list[str]:
    """What a reader must know before the figures."""
    options = job.options
    lines = ["", path] if len(options.nbest) > 1 else []
    if tuned.development is not None:
        lines += tuning.describe(tuned, job.tuned_on, options.unit)
    elif options.weights:
        lines.append(f"weights from {options.weights}")
    else:
        why = "given" if options.score_kind else "recognised"
        lines.append(f"no --dev or --weights given: packaged default weights for {tuned.kind!r} scores ({why})")
    if tuned.development is None and (words := _recombined(job.models)):
        lines.append(f"histories that end in the same {words} words are read once")
    values = tuned.weights.values
    lines.append("weights: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
    names = [model.name for model in job.models]
    if not any(values.get(name) for name in names):
        changes = "it changes" if len(names) == 1 else "they change"
        lines.append(f"the weight of {' and of '.join(names)} is 0: {changes} nothing")
    return lines


def _recombined(models: Sequence[RescoringModel]) -> int:
    """Words that tell histories apart where that was left to be found; 0 where it was not."""
    return max((model.recombined for model in models if model.chooses_recombination), default=0)


def _told(job: _Job, path: str, parts: _Parts, output: Console) -> dict[str, Any]:
    """Print the figures and write the report; the record for ``--json``."""
    options, evaluation = job.options, parts.evaluation
    weights = evaluation.tuned.weights.values
    tuned_on = ", ".join(job.tuned_on) or str(options.weights or f"default weights ({evaluation.tuned.kind})")
    if not evaluation.with_reference:
        if parts.choices is not None:
            job.terminal.warn("no reference was given, so no report was written")
        output.print(f"no reference was given, so there is no {metric(options.unit).long} to report")
        return {"weights": weights, "tuned_on": tuned_on, "utterances": evaluation.utterances}
    result = Result.of(path, evaluation, job.terminal)
    output.print()
    result.print(output)
    if parts.choices is not None:
        reported = [(result, Choices.concatenate(parts.choices))]
        found = reporting.contents(options, reported, job.tuned_on or [tuned_on], job.terminal)
        for line in reporting.write(options, found):
            output.print(line, markup=False, soft_wrap=True)
    record = result.to_json(options, weights, tuned_on)
    if (corrected := evaluation.correction_report()) is not None:
        record["correction"] = correcting.report(output, evaluation, corrected)
    return record
