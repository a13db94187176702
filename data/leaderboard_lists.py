"""What the leaderboard compares, from a TOML file: lists, models, and figures that others published."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.errors import InputError
from asr_lm.files import read_bytes


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure that somebody published of a list.

    Attributes:
        name: of the system.
        source: where it stands.
        wer: word error rate in percent.
        change: of the first pass's word error rate, in percent of it, where no rate was published.
        normalized: whether texts were normalised before they were compared.
    """

    name: str
    source: str
    wer: float | None = None
    change: float | None = None
    normalized: bool = False

    def __post_init__(self) -> None:
        if (self.wer is None) == (self.change is None):
            raise ValueError("expected either wer or change")


class BoardList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list with references, and what is compared on it.

    Attributes:
        name: of the list.
        about: the recogniser, in a few words.
        test: what is reported on.
        dev: what weights are tuned on; None splits ``test`` into halves.
        models: language models, each as ``NAME=FOLDER``.
        correctors: models that write, each as ``NAME=FOLDER``.
        published: figures of others.
    """

    name: str
    about: str
    test: str
    dev: str | None = None
    models: tuple[str, ...] = ()
    correctors: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The lists' files, the development list first where there is one."""
        return (self.test,) if self.dev is None else (self.dev, self.test)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    list: tuple[BoardList, ...]


def read_board(path: Path) -> tuple[BoardList, ...]:
    """The lists of a file.

    Raises:
        InputError: it cannot be read, is not TOML, has a table or a field that is unknown, or lacks one.
    """
    try:
        document: Any = tomllib.loads(read_bytes(path).decode("utf-8"))
        return msgspec.convert(document, _File).list
    except (ValueError, RecursionError, msgspec.ValidationError) as error:  # no TOML, no UTF-8, or a number too long
        raise InputError(f"expected tables [[list]] as in data/leaderboard.toml: {error}", file=path) from error
