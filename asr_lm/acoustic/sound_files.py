"""Which files hold sound, told by their names: what libsndfile reads, and what has to be converted first."""

from __future__ import annotations

import shlex
from pathlib import Path

READABLE = frozenset(
    [
        ".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd",
        ".sph", ".nist", ".caf", ".w64", ".rf64", ".voc", ".avr", ".htk", ".ircam", ".sf", ".paf", ".pvf", ".sds",
        ".svx", ".8svx", ".wve", ".xi", ".mpc",
    ]
)  # fmt: skip
"""Endings of files that libsndfile reads, in lower case."""

CONVERTIBLE = frozenset(
    [
        ".m4a", ".m4b", ".aac", ".mp4", ".m4v", ".mov", ".3gp", ".amr", ".awb", ".wma", ".asf", ".webm", ".mka",
        ".mkv", ".avi", ".ac3", ".ape", ".wv", ".tta", ".spx", ".ra", ".rm", ".dsf", ".dff", ".mp2", ".shn",
        ".gsm", ".dss", ".ds2", ".alac", ".qcp", ".adts", ".ts",
    ]
)  # fmt: skip
"""Endings of files that hold sound, or sound and pictures, which libsndfile does not read."""


def is_readable(path: Path) -> bool:
    """Whether a file is named like one that can be read."""
    return path.suffix.lower() in READABLE and not path.name.startswith(".")


def is_convertible(path: Path) -> bool:
    """Whether a file is named like one that could be read when it is converted."""
    return path.suffix.lower() in CONVERTIBLE and not path.name.startswith(".")


def remedy(path: Path) -> str:
    """What to do about a file that libsndfile does not read; nothing where its name says that it should be read."""
    if path.suffix.lower() not in CONVERTIBLE:
        return ""
    return f"; convert it: ffmpeg -i {shlex.quote(path.name)} {shlex.quote(path.stem + '.flac')}"
