"""What every kind of recogniser is to the rest of the package.

A kind of recogniser is a module with a :class:`RecogniserKind`, which :mod:`asr_lm.acoustic.registry` lists. A
recogniser makes a decoder for the options of a job; a decoder turns segments of sound into ranked hypotheses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.saved_emissions import Shards
from asr_lm.acoustic.segments import Failure, Segment
from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import Unit
from asr_lm.hypotheses.utterance import Hypothesis
from asr_lm.lattice.lattice import Lattice


class Lattices(NamedTuple):
    """The lattices of a segment.

    Attributes:
        words: what is written.
        units: the one to count errors in: of words, or of characters where words are not separated.
    """

    words: Lattice
    units: Lattice


class Decoded(NamedTuple):
    """What a segment may say: its hypotheses, best first, and its lattices where they were asked for."""

    hypotheses: Sequence[Hypothesis]
    lattices: Lattices | None = None


class Decoder(Protocol):
    """Turns segments of sound into hypotheses, in two steps."""

    @property
    def unit(self) -> Unit:
        """What errors are counted in."""

    @property
    def has_times(self) -> bool:
        """Whether hypotheses have the times of their words."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know before the decoder is used."""

    def prepare(self, segments: Iterable[Segment]) -> Iterator[Segment | Failure]:
        """Segments of samples with what :meth:`decode` takes in place of the samples; their order may change."""

    def decode(self, segment: Segment) -> Decoded:
        """The hypotheses of a prepared segment.

        Raises:
            InputError: there can be none.
        """

    def emissions_folder(self, folder: Path) -> Shards:
        """A folder that keeps prepared segments.

        Raises:
            InputError: the recogniser has no emissions, or the folder is another one's.
        """


@runtime_checkable
class GroupDecoder(Decoder, Protocol):
    """A decoder that is faster with several segments; the result is the same."""

    @property
    def together(self) -> int:
        """How many."""

    def decode_group(self, segments: Sequence[Segment]) -> Iterator[Decoded | InputError]:
        """The hypotheses of each prepared segment, or why there can be none."""


class Recogniser(Protocol):
    """A loaded recogniser; ``sample_rate`` is that of the signals it takes."""

    @property
    def sample_rate(self) -> int: ...

    def decoder(self, nbest: int, options: DecodingOptions) -> Decoder:
        """A decoder that gives at most ``nbest`` hypotheses.

        Raises:
            InputError: it cannot do what the options ask for.
        """


@dataclass(frozen=True)
class RecogniserKind:
    """A kind of recogniser.

    Attributes:
        about: what it is, in a few words.
        names: those that can be listed, as a user calls them.
        takes: whether a name is one of this kind.
        load: the recogniser of a name, on a device; InputError where it cannot be had.
    """

    about: str
    names: Callable[[], Sequence[str]]
    takes: Callable[[str], bool]
    load: Callable[[str, str], Recogniser]
