"""What is recognised at a time: an utterance, or what lies between two cuts of a long recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from asr_lm.acoustic.audio import Sound
from asr_lm.acoustic.segmentation import Span, energies, spans
from asr_lm.acoustic.speech import Speech
from asr_lm.errors import InputError


@dataclass(frozen=True)
class Piece:
    """An utterance to be.

    Attributes:
        id: of the utterance.
        offset: seconds of the recording's file before it.
        content: its samples, or what a recogniser made of them.
        reference: what is said, where that is known.
        recording: what it was cut from.
        source: the id of the source that gave it; its own where that gave nothing else.
        number: its place among the pieces of the source, from 0.
        of: how many pieces the source has.
        file: where it was read from.
    """

    id: str
    offset: float
    content: Any
    reference: str | None = None
    recording: str | None = None
    source: str = ""
    number: int = 0
    of: int = 1
    file: str | None = None

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", self.id)

    def with_content(self, content: Any) -> Piece:
        """The same utterance, as something else."""
        return replace(self, content=content)


@dataclass(frozen=True)
class Source:
    """Something that gives pieces: ``load`` reads them one by one, and raises InputError where it cannot."""

    id: str
    load: Callable[[], Iterable[Piece]]


def pieces(speech: Speech, sample_rate: int, longest: float) -> Iterator[Piece]:
    """The signals of a stretch of sound, cut where it is quietest when it lasts too long; one is in memory at a time.

    The pieces of a cut stretch are called ``ID-START-END``, in hundredths of a second of the file.

    Raises:
        InputError: the file is missing or damaged, or lasts too long and has a reference, which cannot be cut.
    """
    try:
        sound = Sound.open(speech.path)
        first, count = sound.span(speech.start, speech.duration)
        found = _cut(speech, sound, Span(first, count), longest)
        signals = sound.signals(first, [span.length for span in found], sample_rate)
        for number, (span, signal) in enumerate(zip(found, signals, strict=True)):
            offset = span.first / sound.sample_rate
            end = (span.first + span.length) / sound.sample_rate
            name = speech.id if len(found) == 1 else f"{speech.id}-{offset * 100:07.0f}-{end * 100:07.0f}"
            facts = speech.reference, speech.recording, speech.id, number, len(found), str(speech.path)
            yield Piece(name, offset, signal, *facts)
    except InputError as error:
        error.file, error.utterance = error.file or str(speech.path), error.utterance or speech.id
        raise


def _cut(speech: Speech, sound: Sound, span: Span, longest: float) -> list[Span]:
    if span.length <= longest * sound.sample_rate:
        return [span]
    if speech.reference is not None:
        raise InputError(
            f"lasts {span.length / sound.sample_rate:.1f} s, more than {longest:g} s, and has a reference, which "
            "cannot be cut with it: give its utterances by start and duration, or allow longer pieces",
            file=sound.path,
        )
    energy = energies(sound.blocks(span.first, span.length), sound.sample_rate)
    return [
        Span(span.first + part.first, part.length) for part in spans(energy, sound.sample_rate, span.length, longest)
    ]
