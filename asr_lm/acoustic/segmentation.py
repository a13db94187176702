"""Cutting long recordings where they are quietest."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lm.acoustic.audio import Signal

FRAME = 0.01
"""Seconds whose energy is measured as one."""

_QUIET = 0.3
_SHORTEST_SHARE = 0.5
_LAST_SHARE = 0.25


class Span(NamedTuple):
    """A stretch of samples."""

    first: int
    length: int


def energies(blocks: Iterable[Signal], sample_rate: int) -> NDArray[np.float64]:
    """Mean square of each hundredth of a second ``[frames]``; the last, shorter one counts too."""
    size = round(FRAME * sample_rate)
    found: list[NDArray[np.float64]] = []
    rest = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        found.append(np.square(joined[:whole].reshape(-1, size).astype(np.float64)).mean(1))
        rest = joined[whole:]
    if len(rest):
        found.append(np.square(rest.astype(np.float64)).mean(keepdims=True))
    return np.concatenate(found) if found else np.zeros(0)


def spans(energy: NDArray[np.float64], sample_rate: int, count: int, longest: float) -> list[Span]:
    """Cut a stretch into segments of at most ``longest`` seconds.

    Each cut is in the middle of the quietest 0.3 seconds of the second half of what a segment may have; of equally
    quiet places it is the last.

    Args:
        energy: of the stretch's hundredths of a second ``[frames]``.
        sample_rate: samples a second.
        count: samples of the stretch.
        longest: seconds, at least 1.
    """
    size, most = round(FRAME * sample_rate), int(longest / FRAME)
    width = round(_QUIET / FRAME)
    # Averages over a window, so that the gap within a word is no silence.
    loudness = np.convolve(np.pad(energy, (width // 2, width - 1 - width // 2), mode="edge"), np.ones(width), "valid")
    cuts = [0]
    while len(energy) - cuts[-1] > most:
        begin = cuts[-1] + int(most * _SHORTEST_SHARE)
        # What is left at the end should be long enough to be speech.
        end = min(cuts[-1] + most, len(energy) - int(most * _LAST_SHARE)) + 1
        cuts.append(end - 1 - int(np.argmin(np.round(loudness[begin:end][::-1], 12))))
    edges = [*(cut * size for cut in cuts), count]
    return [Span(first, last - first) for first, last in itertools.pairwise(edges)]
