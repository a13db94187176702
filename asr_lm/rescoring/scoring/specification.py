"""How a model is named where models are asked for: ``NAME=PATH?normalizer=…&begin=…&end=…&casing=…``."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.folder import HUB
from asr_lm.lm.loading import KINDS
from asr_lm.lm.protocol import Ranker
from asr_lm.rescoring.default_model import DEFAULT, default_folder
from asr_lm.text.normalizer import AS_SENTENCES, get_normalizer

CASINGS = ("as-is", "sentence")
"""How a model can be shown texts: as they are, or with a capital and a full stop."""

_SUFFIXES = (".gz", ".zst", ".arpa", ".bin", ".binary", ".klm", ".gguf")


@dataclass(frozen=True)
class ReadingOptions:
    """What is said of the texts that a model reads; None leaves it to the model, or to a development list.

    Attributes:
        normalizer: name of what texts go through first.
        begin: the token before a text.
        end: the token after it, or ``none``: the end of a text is not scored.
        casing: one of :data:`CASINGS`.
    """

    normalizer: str | None = None
    begin: str | None = None
    end: str | None = None
    casing: str | None = None

    @classmethod
    def parse(cls, written: str) -> ReadingOptions:
        """The options of ``begin=…&casing=…``.

        >>> ReadingOptions.parse("begin=<|endoftext|>&end=none").end
        'none'
        """
        return cls(**dict(part.partition("=")[::2] for part in _BETWEEN.split(written) if part))

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return "&".join(f"{name}={value}" for name, value in given if value is not None)

    def over(self, other: ReadingOptions) -> ReadingOptions:
        """These, and what they leave open as in ``other``."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(other, **{name: value for name, value in given.items() if value is not None})

    def apply(self, model: Ranker) -> None:
        """Have a model read texts so from now on.

        Raises:
            InputError: no such normaliser, token or casing, or the model knows by itself how texts begin and end.
        """
        if self.casing is not None and self.casing not in CASINGS:
            expected = " or ".join(CASINGS)
            raise InputError(f"no casing {self.casing!r}, expected {expected}", parameter="models")
        base = (model.normalizer if self.normalizer is None else self.normalizer).removesuffix(AS_SENTENCES)
        normalizer = base + AS_SENTENCES if self.casing == "sentence" else base
        if self.casing is None and self.normalizer is None:
            normalizer = model.normalizer
        get_normalizer(normalizer)
        model.normalizer = normalizer
        if self.begin is not None or self.end is not None:
            model.frame(self.begin, self.end)


_KEYS = "|".join(field.name for field in fields(ReadingOptions))
_OPTIONS = re.compile(rf"\?(?=(?:{_KEYS})=)")
_BETWEEN = re.compile(rf"&(?=(?:{_KEYS})=)")


def reading_options(specification: str) -> ReadingOptions:
    """What follows the path of a model that is given as ``PATH?normalizer=NAME``."""
    _, *written = _OPTIONS.split(specification, maxsplit=1)
    return ReadingOptions.parse(written[0]) if written else ReadingOptions()


def name_and_path(specification: str) -> tuple[str, Path]:
    """Name and place of the model ``PATH`` or ``NAME=PATH``, which is called after its file or folder by default.

    What follows the path (:func:`reading_options`) is left out.

    Raises:
        InputError: no path.
    """
    specification = _OPTIONS.split(specification, maxsplit=1)[0]
    name, equals, path = specification.partition("=")
    if not equals or "/" in name:
        name, path = "", specification
    if not path:
        raise InputError(f"no path; expected {KINDS}", parameter="models")
    if path == DEFAULT:
        return name or DEFAULT, default_folder()
    stem = Path(path.removeprefix(HUB)).resolve().name
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return name or stem, Path(path)
