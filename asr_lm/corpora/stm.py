"""Segment time marks (STM) of NIST's scoring tools: who said what from when to when.

A line is ``recording channel speaker start end [<label>] words``; lines that begin with ``;;`` are comments. The words
``ignore_time_segment_in_scoring`` mark a stretch that counts neither way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import iterate_text

_IGNORED = "ignore_time_segment_in_scoring"
_LINE = re.compile(r"(\S+)\s+\S+\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(<[^>\s]*,[^>\s]*>|<NA>|<F0_[MF]>))?(?:\s+(.*))?")


@dataclass(frozen=True)
class TimeMark:
    """A stretch of a recording.

    Attributes:
        recording: name of the recording.
        speaker: name of the speaker.
        start: seconds.
        end: seconds.
        text: what is said.
        scored: whether it is meant to be compared with what a recogniser hears.
    """

    recording: str
    speaker: str
    start: float
    end: float
    text: str
    scored: bool


def read_stm(path: Path) -> Iterator[TimeMark]:
    """The lines of a file.

    Raises:
        InputError: a line is malformed.
    """
    for number, line in iterate_text(path):
        if line.strip() and not line.startswith(";;"):
            found = _LINE.fullmatch(line.strip())
            if not found:
                message = "expected recording, channel, speaker, start, end, label and words"
                raise InputError(message, file=path, line=number)
            start, end = (_seconds(text, path, number) for text in found.group(3, 4))
            if end <= start:
                raise InputError(f"ends at {end:g} s and begins at {start:g} s", file=path, line=number)
            text = " ".join((found[6] or "").split())
            yield TimeMark(found[1], found[2], start, end, text, text.lower() != _IGNORED)


def _seconds(text: str, path: Path, number: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"{text!r}, expected seconds", file=path, line=number)
    return seconds
