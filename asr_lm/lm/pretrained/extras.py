"""The libraries of Hugging Face, which are an extra, and what they read from its hub."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from asr_lm.errors import InputError
from asr_lm.lm.folder import HUB
from asr_lm.lm.pretrained.place import is_cached_only


def import_transformers(needed_for: str = "models of Hugging Face", parameter: str = "models") -> Any:
    """The library.

    Args:
        needed_for: what needs it, in the plural.
        parameter: what was asked for it.

    Raises:
        InputError: it is not installed.
    """
    # Compiled kernels that the library would fetch are code, too; it reads this once, when it is imported.
    os.environ.setdefault("USE_HUB_KERNELS", "NO")
    transformers = import_extra("transformers", needed_for, parameter=parameter)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def import_extra(library: str, needed_for: str, extra: str = "hf", parameter: str = "models") -> Any:
    """A library of an extra.

    Args:
        library: its module.
        needed_for: what needs it, in the plural.
        extra: what brings it.
        parameter: what was asked for it.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError:
        raise InputError(f"{needed_for} need {library}: pip install 'asr_lm[{extra}]'", parameter=parameter) from None


def read_hub(read: Callable[..., Any], name: str, shown: str, **options: Any) -> Any:
    """What ``read(name)`` gives: from the folder or the cache where it is there, else from the hub.

    Args:
        read: called with the name and the options.
        name: folder, or name on the hub.
        shown: how messages call it.
        options: of ``read``.

    Raises:
        InputError: it cannot be had.
    """
    try:
        return read(name, local_files_only=True, **options)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a damaged file leads the library to whatever error comes first
        if Path(name).is_dir():
            raise InputError(f"transformers cannot read it ({_first_line(error)})", file=shown) from None
        if is_cached_only():
            raise not_cached(name) from None
    try:
        return read(name, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(
            f"the model cannot be had from the Hugging Face hub ({_first_line(error)}); where there is no network, "
            f"download it elsewhere (hf download {name} --local-dir DIR) and give that folder",
            file=HUB + name,
        ) from None


def not_cached(name: str) -> InputError:
    """The error that says so of a model of the hub."""
    return InputError(
        f"the model is not in the cache of Hugging Face; download it first (hf download {name})", file=HUB + name
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".:")
