"""What an n-best format is: how it is told from others, how it is read, and what it needs beside the list.

A format is one module under :mod:`asr_lm.hypotheses.formats` that defines one :class:`Format`, and one line in the
registry there. Recognition, the reader, the help of the commands, the table of the README and the tests go over the
registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.validation import Located


class Notices:
    """What a reader has to say about a list besides its utterances, each thing once, in the order it was met."""

    def __init__(self) -> None:
        self._said: dict[str, None] = {}

    def say(self, message: str) -> None:
        """Add a message, unless it is there already."""
        self._said.setdefault(message)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._said))

    def __len__(self) -> int:
        return len(self._said)


@dataclass(frozen=True)
class SideInputs:
    """What some formats need or take beside the list.

    Attributes:
        manifest: the manifest that was decoded (NeMo's beams).
        beam_size: lines of an utterance (NeMo's beams).
        acoustic_scale: what the recogniser multiplies acoustic scores by (Kaldi's archives: 0.1 where nothing is said).
    """

    manifest: Path | None = None
    beam_size: int | None = None
    acoustic_scale: float | None = None

    def given(self) -> list[str]:
        """Names of what is there."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]


Read = Callable[[Path, SideInputs, Notices], Located]
"""A format's reader: utterances with the place to blame; what it has to say goes to the notices."""


@dataclass(frozen=True)
class Format:
    """One format of n-best lists.

    Attributes:
        name: what ``--format`` calls it.
        about: one line: what the files are and who writes them.
        fits: whether the beginning of a list is of this format.
        read: gives the utterances.
        sides: names of the :class:`SideInputs` that it takes.
        general: it is tried only where no other format fits.
        scores_known: the reader knows what its scores mean, so that they are not looked at again.
        advice: how to get more than one hypothesis from this recogniser, said where every list holds only one; None
            where lists of one hypothesis are read like others.
    """

    name: str
    about: str
    fits: Callable[[Beginning], bool]
    read: Read
    sides: frozenset[str] = field(default_factory=frozenset)
    general: bool = False
    scores_known: bool = False
    advice: str | None = None

    def utterances(self, path: Path, sides: SideInputs, notices: Notices) -> Located:
        """What the reader gives, after the side inputs were checked.

        Raises:
            InputError: something was given beside the list that the format does not take.
        """
        for name in sides.given():
            if name not in self.sides:
                raise InputError(_not_taken(name, self.name), file=display_name(path), parameter=name)
        return self.read(path, sides, notices)


def _not_taken(name: str, format: str) -> str:
    if name in ("manifest", "beam_size"):
        return f"the list is {format}; a manifest and a beam size go with nemo only"
    what = {"acoustic_scale": "an acoustic scale", "mapping": "a mapping of fields"}[name]
    return f"the list is {format}, which takes no {what.split(' ', 1)[1]}"


def plain(read: Callable[[Path], Located]) -> Read:
    """A reader that needs nothing but the path."""

    def reader(path: Path, sides: SideInputs, notices: Notices) -> Located:
        return read(path)

    return reader
