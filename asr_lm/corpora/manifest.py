"""A part of a corpus as a manifest that ``decode --audio`` reads, and its transcripts as a text.

``PART.jsonl`` has an utterance a line (``audio``, ``id``, ``start``, ``duration``, ``reference``, ``recording``), in
the order in which they were spoken; ``PART.txt`` has its references, a sentence a line, for training.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import msgspec

from asr_lm.acoustic.audio import Sound
from asr_lm.acoustic.speech import Speech
from asr_lm.corpora.download import Report, no_report
from asr_lm.errors import InputError
from asr_lm.files import atomic_write

# Times are often written in hundredths of a second.
_ROUNDING = 0.01


@dataclass
class PartSummary:
    """What was written of a part.

    Attributes:
        utterances: lines of the manifest.
        sentences: lines of the text.
        words: of the references.
        seconds: of speech.
        shortened: utterances that were said to end after their recording.
        references: those of the manifest, each once.
        left_out: why an utterance could not be written, each.
    """

    utterances: int = 0
    sentences: int = 0
    words: int = 0
    seconds: float = 0.0
    shortened: int = 0
    references: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)

    def count(self, speech: Speech, duration: float) -> None:
        """Add an utterance."""
        reference = speech.reference or ""
        self.utterances += 1
        self.shortened += speech.duration is not None and duration < speech.duration - _ROUNDING
        self.words += len(reference.split())
        self.seconds += duration
        self.references.add(reference)


def write_part(
    folder: Path,
    part: str,
    utterances: Sequence[Speech],
    *,
    incomplete: Collection[str] = (),
    strict: bool = False,
    report: Report = no_report,
) -> PartSummary:
    """Write the manifest and the text of a part; utterances without readable sound are left out, and said so.

    Args:
        utterances: with normalised references.
        incomplete: ids whose reference lacks a word; they are in the manifest and not in the text.
        strict: refuse the part instead of leaving an utterance out.

    Raises:
        InputError: nothing is left to be written, it cannot be written, or sound is missing or damaged in strict mode.
    """
    contents = PartSummary()
    open_sound = lru_cache(maxsize=1)(Sound.open)  # Utterances of a recording come one after another.
    with atomic_write(folder / f"{part}.jsonl") as manifest, atomic_write(folder / f"{part}.txt") as text:
        for number, speech in enumerate(utterances, 1):
            report(number, len(utterances))
            try:
                sound = open_sound(speech.path)
                duration = _duration(speech, sound)
            except InputError as error:
                if strict:
                    raise
                contents.left_out.append(f"{speech.id}: {error}")
                continue
            contents.count(speech, duration)
            manifest.write(_line(speech, duration, folder))
            if speech.id not in incomplete:
                contents.sentences += 1
                text.write(f"{speech.reference}\n".encode())
        if not contents.utterances:
            reason = contents.left_out[0] if contents.left_out else "there are none"
            raise InputError(f"no utterance of {part} could be written ({reason})")
    return contents


def _duration(speech: Speech, sound: Sound) -> float:
    """Seconds of an utterance, no more than its recording has."""
    rest = sound.seconds - speech.start
    if rest <= 0:
        raise InputError(f"begins at {speech.start:g} s, and the sound lasts {sound.seconds:g} s", file=speech.path)
    return rest if speech.duration is None else min(speech.duration, rest)


def _line(speech: Speech, duration: float, folder: Path) -> bytes:
    inside = speech.path.absolute().is_relative_to(folder.absolute())
    line = {
        "audio": os.path.relpath(speech.path, folder) if inside else str(speech.path.absolute()),
        "id": speech.id,
        "start": round(speech.start, 6),
        "duration": round(duration, 6),
        "reference": speech.reference,
        "recording": speech.recording or speech.id,
    }
    return msgspec.json.encode(line) + b"\n"
