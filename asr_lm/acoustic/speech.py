"""A stretch of a sound file that is to be decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from asr_lm.errors import InputError

ROUNDING = 0.01
"""Seconds that a stretch may end after its sound: times are often written in hundredths."""


@dataclass(frozen=True)
class Speech:
    """A stretch of a sound file.

    Attributes:
        id: unique among what is recognised.
        path: the file.
        start: seconds into it.
        duration: seconds, None for the rest of the file.
        reference: what is said, where that is known.
        recording: what the stretch was cut from.
        channel: the one to take, from 1; None is the mean of all.
        late: seconds that it may end after the sound, and is then shortened.
    """

    id: str
    path: Path
    start: float = 0.0
    duration: float | None = None
    reference: str | None = None
    recording: str | None = None
    channel: int | None = None
    late: float = field(default=ROUNDING, compare=False)


def check_times(start: float, duration: float | None, path: Path, line: int | None) -> None:
    """Refuse times that no stretch has.

    Raises:
        InputError: the start is below 0, or the duration is not above 0.
    """
    if not (math.isfinite(start) and start >= 0):
        raise InputError(f"start {start}, expected seconds from 0 on", file=path, line=line)
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise InputError(f"duration {duration:g} s, expected more than 0", file=path, line=line)
