"""What makes a shell complete the commands of ``asr-lm``, their options and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from importlib import import_module
from typing import Annotated, Any, Union

import tyro

from asr_lm.errors import InputError
from pipelines.__main__ import COMMANDS, SHELLS
from pipelines.train_options import MODELS, options_of


def print_completion(words: Sequence[str]) -> None:
    """Print the completion for the shell that the words name.

    Raises:
        InputError: they name none that is known.
    """
    if len(words) != 1 or words[0] not in SHELLS:
        raise InputError(f"expected one of {', '.join(SHELLS)}, not {' '.join(words)!r}", parameter="completion")
    bare = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)  # --text, not --model.text
    tyro.cli(_every_command(), prog="asr-lm", args=["--tyro-print-completion", words[0]], config=bare)


def _every_command() -> Any:
    """The command lines of all commands as one."""
    return _one_of({name: _arguments(name) for name in COMMANDS})


def _arguments(name: str) -> Any:
    if name != "train":
        return import_module(f"pipelines.{name}").Arguments
    return make_dataclass("Train", [("model", _one_of({model: options_of(model) for model in MODELS}))])


def _one_of(choices: Mapping[str, Any]) -> Any:
    """A type of which one choice is named by its word."""
    return Union[tuple(Annotated[choice, tyro.conf.subcommand(name)] for name, choice in choices.items())]  # noqa: UP007
