"""Emissions of a stream of utterances, computed in batches of like length.

Signals are read ahead for a few batches, sorted by length and computed together where the network allows it
(:attr:`CtcNetwork.pads`; else only signals of one length). What an utterance gets does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from torch import Tensor

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.segments import Failure, Segment
from asr_lm.errors import InputError

_BATCHES_AHEAD = 8


class EmissionsModel(Protocol):
    """What computes emissions; ``pads`` tells whether signals of different lengths can be computed together."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def pads(self) -> bool: ...

    def batch(self, signals: Sequence[Signal]) -> list[Tensor | InputError]:
        """Emissions of each signal, or what is wrong with it."""


def compute_emissions(
    segments: Iterable[Segment], recogniser: EmissionsModel, seconds: float
) -> Iterator[Segment | Failure]:
    """Segments with emissions in place of signals; those that have emissions come as they are.

    No more than nine batches of signals and one of emissions are in memory.

    Args:
        segments: in any order; theirs is kept only where every signal is a batch.
        recogniser: what computes.
        seconds: of a batch, padding counted; 0 computes one signal at a time.
    """
    most = round(seconds * recogniser.sample_rate)
    waiting: list[Segment] = []
    for segment in segments:
        if isinstance(segment.content, Tensor):
            yield segment
            continue
        waiting.append(segment)
        if sum(len(each.content) for each in waiting) >= _BATCHES_AHEAD * most:
            yield from _computed(waiting, recogniser, most)
            waiting = []
    yield from _computed(waiting, recogniser, most)


def _computed(segments: Sequence[Segment], recogniser: EmissionsModel, most: int) -> Iterator[Segment | Failure]:
    for numbers in batches_by_length([len(segment.content) for segment in segments], most, recogniser.pads):
        batch = [segments[number] for number in numbers]
        for segment, found in zip(batch, recogniser.batch([segment.content for segment in batch]), strict=True):
            yield Failure(segment, found) if isinstance(found, InputError) else segment.with_content(found)


def batches_by_length(lengths: Sequence[int], most: int, pads: bool) -> list[list[int]]:
    """Numbers of signals in batches, longest first.

    Args:
        lengths: of the signals.
        most: samples in a batch, padding counted; a longer signal is a batch of its own.
        pads: whether different lengths may share a batch.
    """
    found: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        longest = lengths[found[-1][0]] if found else 0
        fits = found and longest * (len(found[-1]) + 1) <= most
        if fits and (pads or lengths[number] == longest):
            found[-1].append(number)
        else:
            found.append([number])
    return found
