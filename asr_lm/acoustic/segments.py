"""What is decoded at a time: an utterance, or what lies between two cuts of a long recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from asr_lm.acoustic.audio import SILENT_DECIBELS, Mono, Sound, Waveform, is_silent, resampled
from asr_lm.acoustic.segmentation import Span, energies, spans
from asr_lm.acoustic.speech import Speech
from asr_lm.errors import InputError


@dataclass(frozen=True)
class Segment:
    """An utterance to be.

    Attributes:
        id: of the utterance.
        offset: seconds of the recording's file before it.
        content: its samples, or what a recogniser made of them.
        reference: what is said, where that is known.
        recording: what it was cut from.
        source: the id of the source that gave it; its own where that gave nothing else.
        number: its place among the segments of the source, from 0.
        of: how many segments the source has.
        file: where it was read from.
        silent: whether nothing is to be heard in it.
        remarks: what the user should know of its sound.
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
    silent: bool = False
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", self.id)

    def with_content(self, content: Any) -> Segment:
        """The same utterance, as something else."""
        return replace(self, content=content)


class Failure(NamedTuple):
    """A segment that could not be decoded, and why."""

    segment: Segment
    error: InputError

    @property
    def located(self) -> InputError:
        """The error with the file and the utterance."""
        return self.error.located(file=self.segment.file, utterance=self.segment.id)


@dataclass(frozen=True)
class SegmentSource:
    """Something that gives segments: ``load`` reads them one by one, and raises InputError where it cannot."""

    id: str
    load: Callable[[], Iterable[Segment]]


def read_segments(speech: Speech, sample_rate: int, longest: float) -> Iterator[Segment]:
    """The signals of a stretch of a sound file, cut where it is quietest when it lasts too long.

    One segment is in memory at a time. Those of a cut stretch are called ``ID-START-END``, in hundredths of a second of
    the file.

    Raises:
        InputError: the file is missing or damaged, or lasts too long and has a reference, which cannot be cut.
    """
    try:
        yield from cut_segments(Sound.open(speech.path, speech.channel), speech, sample_rate, longest)
    except InputError as error:
        raise error.located(file=speech.path, utterance=speech.id) from error


def cut_segments(sound: Waveform, speech: Speech, sample_rate: int, longest: float) -> Iterator[Segment]:
    """The signals of a stretch of sound, as :func:`read_segments`.

    Raises:
        InputError: the sound is damaged, or lasts too long and has a reference, which cannot be cut.
    """
    first, count = sound.span(speech.start, speech.duration, speech.late)
    found = _cut(speech, sound, Span(first, count), longest)
    stretches = sound.mono(first, [span.length for span in found])
    file = None if sound.path is None else str(sound.path)
    for number, (span, stretch) in enumerate(zip(found, stretches, strict=True)):
        offset = span.first / sound.sample_rate
        end = (span.first + span.length) / sound.sample_rate
        name = speech.id if len(found) == 1 else f"{speech.id}-{offset * 100:07.0f}-{end * 100:07.0f}"
        signal = resampled(stretch.signal, sound.sample_rate, sample_rate)
        heard = is_silent(stretch.signal), tuple(_remarks(stretch))
        known = speech.reference, speech.recording, speech.id, number, len(found), file
        yield Segment(name, offset, signal, *known, *heard)


def _remarks(stretch: Mono) -> Iterator[str]:
    if stretch.cancelled:
        yield "its channels cancel each other out, so the first one is taken (`channel=` chooses another)"
    if is_silent(stretch.signal):
        yield f"is silent: nothing in it is louder than {SILENT_DECIBELS} dB of full scale"


def _cut(speech: Speech, sound: Waveform, span: Span, longest: float) -> list[Span]:
    if span.length <= longest * sound.sample_rate:
        return [span]
    if speech.reference is not None:
        raise InputError(
            f"lasts {span.length / sound.sample_rate:.1f} s, more than {longest:g} s, and has a reference, which "
            "cannot be cut with it: give its utterances by start and duration, or allow longer segments",
            file=sound.path,
            utterance=speech.id,
        )
    energy = energies(sound.blocks(span.first, span.length), sound.sample_rate)
    return [
        Span(span.first + part.first, part.length) for part in spans(energy, sound.sample_rate, span.length, longest)
    ]
