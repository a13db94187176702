"""Emissions of a stream of utterances, computed in batches of like length.

Signals are read ahead for a few batches, sorted by length and computed together where the network allows it
(:attr:`CtcNetwork.pads`; else only signals of one length). What an utterance gets does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from asr_lm.acoustic.pieces import Piece
from asr_lm.acoustic.recogniser import CtcRecogniser
from asr_lm.errors import InputError

_BATCHES_AHEAD = 8


class Failure(NamedTuple):
    """A piece without emissions, and why."""

    piece: Piece
    error: InputError


def listen(pieces: Iterable[Piece], recogniser: CtcRecogniser, seconds: float) -> Iterator[Piece | Failure]:
    """Pieces with emissions in place of signals; those that have emissions come as they are.

    No more than nine batches of signals and one of emissions are in memory.

    Args:
        pieces: in any order; theirs is kept only where every signal is a batch.
        recogniser: what computes.
        seconds: of a batch, padding counted; 0 computes one signal at a time.
    """
    most = round(seconds * recogniser.sample_rate)
    waiting: list[Piece] = []
    for piece in pieces:
        if isinstance(piece.content, Tensor):
            yield piece
            continue
        waiting.append(piece)
        if sum(len(each.content) for each in waiting) >= _BATCHES_AHEAD * most:
            yield from _heard(waiting, recogniser, most)
            waiting = []
    yield from _heard(waiting, recogniser, most)


def _heard(pieces: Sequence[Piece], recogniser: CtcRecogniser, most: int) -> Iterator[Piece | Failure]:
    for numbers in batches([len(piece.content) for piece in pieces], most, recogniser.network.pads):
        batch = [pieces[number] for number in numbers]
        for piece, found in zip(batch, recogniser.batch([piece.content for piece in batch]), strict=True):
            yield Failure(piece, found) if isinstance(found, InputError) else piece.with_content(found)


def batches(lengths: Sequence[int], most: int, pads: bool) -> list[list[int]]:
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
