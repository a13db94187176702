"""What a model was asked for, so that the same command, given again, knows that it is done."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.files import STDIN
from asr_lm.lm.folder import CONFIG_FILE, HUB, check_unused, read_config
from asr_lm.lm.pretrained.place import WEIGHTS_FILES, split_adapter
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE
from asr_lm.lm.training.options import VOCABULARY_KINDS
from asr_lm.lm.training.pair_recipe import PRETRAINING
from asr_lm.lm.training.recipe import CORPUS_FOLDER
from asr_lm.report.training_curves import PICTURE_FILE
from asr_lm.rescoring.scoring.specification import name_and_path, reading_options
from pipelines.command import option_name
from pipelines.display import draw_training, say
from pipelines.train_options import Options

Asked = Mapping[str, Any]
"""Options by name; of files what they hold."""

_GROUPS = ("network", "training", "lora")
"""Options that stand together."""

_NOT_THE_MODEL = ("out", "jackknife", "device", "preset", "objective", *_GROUPS)
"""Where the model goes and is made, and what the other options say, too."""


def asked_for(model: str, options: Options) -> Asked:
    """Everything that the model of a command line depends on, as JSON holds it.

    Raises:
        InputError: a file cannot be read.
    """
    given = asdict(options)
    grouped = {name: value for group in _GROUPS for name, value in given.get(group, {}).items()}
    flat = {**grouped, **given, "model": model}
    told = {name: _told(name, value) for name, value in flat.items() if name not in _NOT_THE_MODEL}
    return dict(json.loads(json.dumps(told)))


def is_trained(folder: Path, asked: Asked) -> bool:
    """Whether a folder holds a model that was asked for in this way, or nobody knows how.

    Raises:
        InputError: it holds a model that was asked for otherwise.
    """
    if not (folder / CONFIG_FILE).exists():
        return False
    if (family := read_config(folder)["family"]) != asked["model"]:
        message = f"holds a model of family {family!r}, not {asked['model']!r}; choose another folder"
        raise InputError(message, file=folder)
    found = _kept(folder)
    if others := [name for name in sorted({*found, *asked}) if found.get(name) != asked.get(name)] if found else []:
        message = f"holds a trained model already, with another {', '.join(map(option_name, others))}"
        raise InputError(f"{message}; choose another folder or remove it", file=folder)
    return True


def tell_done(folders: Sequence[Path]) -> None:
    """Print that trained folders are as they should be.

    Raises:
        InputError: nobody knows how a model was asked for.
    """
    for folder in folders:
        if not _kept(folder):
            check_unused(folder)
        end_training(folder)
    say(f"{folders[0]}: done already, by the same command")


def end_training(folder: Path) -> None:
    """Do what a run still had to do that was killed when the model was whole."""
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    for left in (CORPUS_FOLDER, PRETRAINING):
        shutil.rmtree(folder / left, ignore_errors=True)
    if not (folder / PICTURE_FILE).exists():
        draw_training(folder)


def _kept(folder: Path) -> Asked:
    training = read_config(folder).get("training")
    found = training.get("asked") if isinstance(training, dict) else None
    return found if isinstance(found, dict) else {}


def _told(name: str, value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_told(name, item) for item in value]
    if name == "lm" or (name == "init_from" and isinstance(value, str)):
        name, path = name_and_path(value)
        reading = str(reading_options(value))
        return [name, *_contents(str(path)), *([reading] if reading else [])]
    is_path = isinstance(value, Path)
    is_path |= name == "vocabulary" and value not in VOCABULARY_KINDS
    return _content(Path(value)) if is_path else value


def _contents(model: str) -> list[str]:
    """What tells a model from others: that of its adapter, too."""
    base, adapter = split_adapter(model)
    if adapter is None:
        return [_content(Path(model))]
    weights = [Path(adapter) / name for name in WEIGHTS_FILES]
    return [_content(Path(base)), _content(next(filter(Path.exists, weights), Path(adapter)))]


def _content(path: Path) -> str:
    """A digest of a file, or of a folder's configuration, which tells of its training; of the hub's models the name.

    What can be read only once is never the same again.
    """
    if str(path).startswith(HUB):
        return str(path)
    if str(path) == STDIN or path.is_fifo():
        return f"read once, at {time.time_ns()}"
    file = path / CONFIG_FILE if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=path) from None
