"""The folder of a trained model: ``config.json`` beside the weights and the vocabulary.

``config.json`` is written last and removed first, so a folder that has one is whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.files import write_text
from asr_lm.json_files import read_json
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import VOCABULARY_FILES

CONFIG_FILE = "config.json"

FORMAT = 1
"""Version of the folder; another one is refused."""


HUB = "hf:"
"""How the name of a model of the Hugging Face hub begins, where else a path is expected."""

SENTENCES_FILE = "sentences.hashes"
"""The fingerprint of the training sentences."""


def trained_sentences(path: Path | None) -> SentenceHashes | None:
    """The fingerprint of what a trained folder has seen; None where there is none, as for a model that is a file.

    Raises:
        InputError: it is damaged.
    """
    if path is None or not path.is_dir() or not (path / SENTENCES_FILE).exists():
        return None
    return SentenceHashes.load(path / SENTENCES_FILE)


def fold_folder(folder: Path, index: int) -> Path:
    """Where the jackknife model that has not seen fold ``index`` of the training text lies."""
    return folder / "folds" / str(index)


def fold_folders(folder: Path) -> list[Path]:
    """The jackknife models of a folder, by index."""
    found = [path.parent for path in (folder / "folds").glob(f"*/{CONFIG_FILE}") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def read_config(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``.

    Raises:
        InputError: it is missing, damaged, of another version, or lacks the family or the normaliser.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        reason = f"it has no {CONFIG_FILE}" if folder.is_dir() else "there is no such folder"
        raise InputError(f"not a trained model: {reason}", file=folder)
    try:
        config = read_json(path)
    except InputError as error:
        raise InputError(f"damaged model folder: {error.message}", file=path, line=error.line) from None
    if not isinstance(config, dict) or "format" not in config:
        raise InputError("damaged model folder: not the configuration of a model", file=path)
    if config["format"] != FORMAT:
        raise InputError(
            f"written by another version of asr_lm (format {config['format']!r}, expected {FORMAT})", file=path
        )
    for name in ("family", "normalizer"):
        if not isinstance(config.get(name), str):
            raise InputError("damaged model folder: text expected", file=path, field=name)
    try:
        get_normalizer(config["normalizer"])
    except InputError as error:
        raise InputError(error.message, file=path, field="normalizer") from None
    return config


def check_unused(folder: Path) -> None:
    """Refuse to write over a trained model.

    Raises:
        InputError: the folder holds one.
    """
    if (folder / CONFIG_FILE).exists():
        raise InputError("holds a trained model already; choose another folder or remove it", file=folder)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.json`` with the current format number."""
    write_text(folder / CONFIG_FILE, json.dumps({"format": FORMAT, **config}, indent=2) + "\n")


def begin(folder: Path) -> None:
    """Make ``folder`` ready for a new model: until :func:`write_config` it is not taken for a whole one.

    The vocabulary of an older model goes too, since the new one may be of the other kind.

    Raises:
        InputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG_FILE, *VOCABULARY_FILES):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=folder) from None
