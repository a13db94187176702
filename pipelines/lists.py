"""Lists and models as ``rescore`` and ``compare`` are given them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from asr_lm.errors import InputError
from asr_lm.hypotheses.joining import joined_lists
from asr_lm.hypotheses.utterance import Utterance, hypothesis_count
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.lm.training import distributed
from asr_lm.rescoring.default_model import DEFAULT
from asr_lm.rescoring.rules.registry import rule
from asr_lm.rescoring.scoring.models import RescoringModel, open_models
from asr_lm.rescoring.scoring.scorer import ScoreCache, default_cache_folder
from asr_lm.rescoring.settings import Measuring
from pipelines.command import with_options
from pipelines.display import Terminal, say
from pipelines.list_options import ListOptions, read
from pipelines.options import AcousticOptions, MeasuringOptions, ModelOptions, TuningOptions

if TYPE_CHECKING:
    from asr_lm.rescoring.acoustics import Acoustics

Options = TypeVar("Options", bound=ListOptions)


def utterances(options: ListOptions, path: str, terminal: Terminal) -> Iterator[Utterance]:
    """The utterances of a list that is reported on."""
    return read(options, path, say=terminal.notice)


def expect(options: ListOptions, path: str, models: Sequence[RescoringModel], terminal: Terminal) -> None:
    """Count the hypotheses of a list beforehand, where a model takes so long that a reader waits for the total."""
    if path != "-" and any(model.model.shard_hypotheses is not None for model in models):
        terminal.expect(hypothesis_count(utterances(options, path, terminal)))


def development_utterances(options: ListOptions, paths: Sequence[str], terminal: Terminal) -> list[Utterance]:
    """The utterances of the development lists, one list after another."""
    return [utterance for path in paths for utterance in read(options, path, development=True, say=terminal.notice)]


@contextlib.contextmanager
def together(options: Options, reported: str) -> Iterator[Options]:
    """The options with lists of several recognisers joined into one, where that is asked for.

    Args:
        options: the command line.
        reported: the option that names the lists reported on.

    Raises:
        InputError: the lists do not belong together.
    """
    if not options.together:
        yield options
        return
    given: dict[str, tuple[str, ...]] = {field: getattr(options, field) for field in ("dev", reported)}
    check_lists(given["dev"], given[reported])
    if distributed.is_shared_run():
        raise InputError("is done by one process; start it without torchrun", parameter="together")
    terminal = Terminal()
    with tempfile.TemporaryDirectory() as folder:
        names: dict[str, Any] = {
            field: (str(_join(options, paths, Path(folder, field), field == "dev", terminal)),)
            for field, paths in given.items()
            if paths
        }
        # What the other options of lists say is in the joined lists already.
        yield replace(options, **_PLAIN, **names)


_PLAIN: dict[str, Any] = {field.name: field.default for field in fields(ListOptions)} | {"as_given": True}


def _join(options: ListOptions, paths: Sequence[str], folder: Path, development: bool, terminal: Terminal) -> Path:
    """A file of the joined list, called after all of them."""
    read_in = [list(read(options, path, development=development, say=terminal.notice)) for path in paths]
    folder.mkdir()
    joint = folder / ("+".join(Path(path).name.partition(".")[0] or "stdin" for path in paths)[:200] + ".jsonl")
    write_nbest(joint, joined_lists(read_in))
    return joint


def acoustics(options: AcousticOptions) -> Acoustics | None:
    """What scores every hypothesis from saved emissions; None where there are none.

    Raises:
        InputError: a file is missing or damaged, or something is of use with emissions alone.
    """
    if not options.emissions:
        for name in ("tokens", "lexicon", "first_pass_lm", "near_texts"):
            if getattr(options, name):
                raise InputError("is for scores from saved emissions, and there are none", parameter=name)
        return None
    # Recognition takes its time to import, and most second passes have nothing to do with it.
    from asr_lm.rescoring.acoustics import Acoustics

    return Acoustics(options.emissions, options.tokens, options.lexicon, options.first_pass_lm, options.near_texts)


def check_lists(development: Sequence[str], reported: Sequence[str]) -> None:
    """Refuse lists that are not there or are given twice, before one of them is worked on.

    Raises:
        InputError: there is one.
    """
    for path in (*development, *reported):
        if path != "-" and not (path and os.path.exists(path)):
            raise InputError("no such file" if path else "the name of a list is empty", file=path or None)
    places = [_place(path) for path in reported]
    for path in development:
        if _place(path) in places:
            message = "the list reported on cannot be the one weights are tuned on"
            raise InputError(message, file=path, parameter="development")
    for path, place in zip(reported, places, strict=True):
        if places.count(place) > 1:
            raise InputError("this list is given twice", file=path)


def check_rules(options: TuningOptions, rules: Sequence[str]) -> None:
    """Refuse names of decision rules that are none.

    Raises:
        InputError: there is one.
    """
    for name in (*rules, *([options.decision] if options.decision else [])):
        rule(name)


def _place(path: str) -> str:
    return path if path == "-" else os.path.realpath(path)


def models(options: ModelOptions, terminal: Terminal, cache_folder: Path | None) -> list[RescoringModel]:
    """The language models, with their cache; warns of those that leave the context unread.

    Args:
        options: which, and how.
        terminal: is told.
        cache_folder: where scores are kept, if not where the options say; see :mod:`pipelines.shared_scoring`.
    """
    if options.context < 0:
        raise InputError(f"expected 0 or more utterances, not {options.context}", parameter="context")
    folder = cache_folder or (_cache_folder(options, terminal) if options.cache else None)
    if not options.lm:
        say("no --lm given: using the packaged general-English model")
    opened = open_models(
        options.lm or (DEFAULT,),
        device=options.device,
        cache=ScoreCache(folder, terminal),
        budget=options.budget,
        unnormalised=options.unnormalised,
        precision=options.precision,
        recombine=options.recombine,
    )
    for model in opened:
        for remark in model.model.remarks:
            terminal.notice(with_options(f"{model.name} {remark}"))
    for name in options.unnormalised:
        terminal.warn(f"the scores of {name} are not normalised: their sum over the vocabulary is only nearly 1")
    if options.context:
        _warn_of_unread_context(opened, terminal)
    return opened


def _cache_folder(options: ModelOptions, terminal: Terminal) -> Path | None:
    folder = options.cache_folder or default_cache_folder()
    if folder is None:
        terminal.warn("scores are not kept: this user has no home folder; --cache-folder names another place")
    return folder


def _warn_of_unread_context(opened: Sequence[RescoringModel], terminal: Terminal) -> None:
    for model in opened:
        if model.model.context_rule == "none":
            terminal.warn(
                f"{model.name} reads no context: a model of family {model.model.family!r} begins every sentence anew"
            )
        elif getattr(model.model, "trained_on", "") == "sentence":
            terminal.warn(
                f"{model.name} was trained on single sentences; to use what came before, train with --context stream"
            )


def measuring(options: MeasuringOptions, baseline: str | None = None) -> Measuring:
    """How errors are counted."""
    return Measuring(options.unit, options.wer_normalizer, options.resample, baseline)
