"""Training a model and its jackknife models: what every kind of training does alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.folder import fold_folder
from asr_lm.lm.training.options import Fold, TrainingOptions
from pipelines.command import console, option_name
from pipelines.train_record import Asked, end_training, is_trained, tell_done


def check_jackknife(parts: int) -> None:
    """Refuse a number of parts that is none.

    Raises:
        InputError: 1, or below 0.
    """
    if parts == 1 or parts < 0:
        raise InputError(f"expected 0 or at least 2 parts, not {parts}", parameter="jackknife")


def check_parts(sentences: Iterable[str], parts: int) -> None:
    """Refuse more parts than the sentences fill: a model without an empty part would be the full one again.

    Raises:
        InputError: a part would be empty.
    """
    from asr_lm.text.sentence_hashes import batches, fold_of

    left = set(range(parts))
    for batch in batches(sentences):
        left.difference_update(fold_of(batch, parts).tolist())
        if not left:
            return
    raise InputError(f"{len(left)} of {parts} parts of the text would be empty", parameter="jackknife")


def check_lists(**options: tuple[Path, ...]) -> None:
    """Refuse lists to train on that are not given, or can be read only once.

    Raises:
        InputError: there is one; the names of the options are their keywords.
    """
    from asr_lm.files import STDIN

    for name, paths in options.items():
        option = option_name(name)
        if not paths:
            raise InputError("expected at least one list", field=option)
        if any(str(path) == STDIN for path in paths):
            raise InputError("lists are read more than once; give a file, not standard input", field=option)


def check_training(options: TrainingOptions) -> None:
    """Refuse what only a training on text knows, where lists are trained on.

    Raises:
        InputError: there is such a thing.
    """
    if options.context != "sentence":
        raise InputError("lists are no stream; expected sentence", parameter="context")
    for name in ("short_windows", "input_noise"):
        if getattr(options, name):
            raise InputError("is for a training on text, not on lists", field=option_name(name))


def train_folds(out: Path, asked: Asked, parts: int, train_one: Callable[[Path, Fold | None, Asked], None]) -> None:
    """Train the full model, then those of the folds; what is trained already is left as it is.

    Args:
        out: folder of the full model.
        asked: what the models are asked for.
        parts: number of folds.
        train_one: trains a model, given its folder, the fold it does without, and what it is asked for.

    Raises:
        InputError: a folder holds a model that was asked for otherwise, or all of them do and nobody knows how.
    """
    folds: list[Fold | None] = [None, *((index, parts) for index in range(parts))]
    folders = [out if fold is None else fold_folder(out, fold[0]) for fold in folds]
    wanted = [asked if fold is None else {**asked, "jackknife": parts} for fold in folds]
    trained = [is_trained(folder, each) for folder, each in zip(folders, wanted, strict=True)]
    if all(trained):
        return tell_done(folders)
    for fold, folder, each, before in zip(folds, folders, wanted, trained, strict=True):
        if not before:
            train_one(folder, fold, each)
        else:
            end_training(folder)
            say(f"{folder}: trained before, left as it is")


def say(message: str) -> None:
    """Print a line."""
    console().print(message, markup=False, soft_wrap=True)
