"""Training a model and its jackknife models: what every kind of training does alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.folder import CONFIG_FILE, fold_folder, read_config
from asr_lm.lm.training.options import Fold, TrainingOptions
from pipelines.command import console, option_name


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


def train_folds(out: Path, family: str, parts: int, train_one: Callable[[Path, Fold | None], None]) -> None:
    """Train the full model, then those of the folds; what is trained already is left as it is.

    Args:
        out: folder of the full model.
        family: of the models.
        parts: number of folds.
        train_one: trains a model, given its folder and the fold it does without.

    Raises:
        InputError: all are trained already, or a folder holds a model of another family.
    """
    folds: list[Fold | None] = [None, *((index, parts) for index in range(parts))]
    folders = {fold: out if fold is None else fold_folder(out, fold[0]) for fold in folds}
    pending = [fold for fold in folds if not _is_trained(folders[fold], family)]
    if not pending:
        raise InputError("holds a trained model already; choose another folder or remove it", file=out)
    for fold in folds:
        if fold in pending:
            train_one(folders[fold], fold)
        else:
            say(f"{folders[fold]}: trained before, left as it is")


def _is_trained(folder: Path, family: str) -> bool:
    if not (folder / CONFIG_FILE).exists():
        return False
    if (found := read_config(folder)["family"]) != family:
        raise InputError(f"holds a model of family {found!r}, not {family!r}; choose another folder", file=folder)
    return True


def say(message: str) -> None:
    """Print a line."""
    console().print(message, markup=False, soft_wrap=True)
