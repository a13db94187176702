"""What is to be recognised: stretches of sound files, told by a folder, a manifest or Kaldi's tables.

* a sound file, or a folder of them at any depth: an utterance each;
* a LibriSpeech folder: the lines of its ``*.trans.txt``, which are the references;
* a manifest, JSON Lines: ``audio`` (a path, from the manifest's folder), and where wanted ``id``, ``start`` and
  ``duration`` in seconds, ``reference``, ``recording``; a folder with ``manifest.jsonl`` is read so;
* a Kaldi folder: ``wav.scp``, and where they are there ``segments`` and ``text``. Commands in ``wav.scp`` are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from asr_lm.acoustic.audio import SUFFIXES
from asr_lm.errors import InputError
from asr_lm.files import iterate_lines, iterate_text

MANIFEST = "manifest.jsonl"
WAV_SCP = "wav.scp"
_TRANSCRIPTS = ".trans.txt"


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
    """

    id: str
    path: Path
    start: float = 0.0
    duration: float | None = None
    reference: str | None = None
    recording: str | None = None


def find_speech(paths: Iterable[Path]) -> list[Speech]:
    """All that is to be recognised, in order.

    Raises:
        InputError: nothing is there, a list is malformed, an id is there twice.
    """
    found: list[Speech] = []
    places: dict[str, Path] = {}
    for path in paths:
        for speech in _found(path):
            if speech.id in places:
                message = f"two utterances of this id, of {places[speech.id]} and {speech.path}"
                raise InputError(message, utterance=speech.id)
            places[speech.id] = speech.path
            found.append(speech)
    return found


def _found(path: Path) -> Iterator[Speech]:
    if not path.exists():
        raise InputError("no such file or folder", file=path)
    if path.is_file():
        return _of_file(path)
    if (path / WAV_SCP).exists():
        return _kaldi(path)
    if (path / MANIFEST).exists():
        return _manifest(path / MANIFEST)
    if transcripts := sorted(path.rglob(f"*{_TRANSCRIPTS}")):
        return (speech for transcript in transcripts for speech in _librispeech(transcript))
    return _sounds(path)


def _of_file(path: Path) -> Iterator[Speech]:
    if path.name == WAV_SCP:
        return _kaldi(path.parent)
    if path.suffix in (".jsonl", ".json"):
        return _manifest(path)
    if path.name.endswith(_TRANSCRIPTS):
        return _librispeech(path)
    return iter([Speech(path.stem, path, recording=path.stem)])


def _sounds(folder: Path) -> Iterator[Speech]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"no sound in this folder, expected files that end in {', '.join(SUFFIXES)}", file=folder)
    for path in paths:
        name = "-".join(path.relative_to(folder).with_suffix("").parts)
        yield Speech(name, path, recording=name)


def _librispeech(transcript: Path) -> Iterator[Speech]:
    for number, line in iterate_text(transcript):
        identity, space, text = line.strip().partition(" ")
        if not identity:
            continue
        if not space:
            raise InputError("no transcript, expected an id and words", file=transcript, line=number)
        # A missing file is that utterance's trouble, and named when it is to be read.
        candidates = [transcript.with_name(identity + suffix) for suffix in (".flac", *SUFFIXES)]
        path = next((path for path in candidates if path.exists()), candidates[0])
        yield Speech(identity, path, reference=" ".join(text.split()), recording=identity.rpartition("-")[0] or None)


class _Line(msgspec.Struct):
    """A line of a manifest."""

    audio: str
    id: str | None = None
    start: float = 0.0
    duration: float | None = None
    reference: str | None = None
    recording: str | None = None


def _manifest(path: Path) -> Iterator[Speech]:
    decoder = msgspec.json.Decoder(_Line)
    for number, raw in iterate_lines(path):
        if not raw.strip():
            continue
        try:
            line = decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"{error}; expected an object with audio, and id, start, duration, reference or recording"
            raise InputError(message, file=path, line=number) from None
        _check_times(line.start, line.duration, path, number)
        identity = line.id or Path(line.audio).stem
        yield Speech(
            identity, path.parent / line.audio, line.start, line.duration, line.reference, line.recording or identity
        )


def _kaldi(folder: Path) -> Iterator[Speech]:
    recordings = {name: _kaldi_path(folder, name, rest, number) for number, name, rest in _rows(folder / WAV_SCP)}
    texts = folder / "text"
    references = {name: " ".join(rest.split()) for _, name, rest in _rows(texts)} if texts.exists() else {}
    if not (folder / "segments").exists():
        for name, path in recordings.items():
            yield Speech(name, path, reference=references.get(name), recording=name)
        return
    for number, name, rest in _rows(folder / "segments"):
        recording, start, end = _segment(rest, folder / "segments", number)
        if recording not in recordings:
            raise InputError(f"no recording {recording!r} in {WAV_SCP}", file=folder / "segments", line=number)
        duration = None if end == -1 else end - start
        _check_times(start, duration, folder / "segments", number)
        yield Speech(name, recordings[recording], start, duration, references.get(name), recording)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, first field and the rest of every line."""
    for number, line in iterate_text(path):
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield number, name, rest.strip()


def _kaldi_path(folder: Path, name: str, rest: str, number: int) -> Path:
    table = folder / WAV_SCP
    if rest.endswith("|"):
        message = f"recording {name!r} is the output of a command, which is not run; give a file"
        raise InputError(message, file=table, line=number)
    if not rest:
        raise InputError("expected a recording's name and its file", file=table, line=number)
    # Kaldi takes paths from where it is run, others from the table's folder.
    return Path(rest) if Path(rest).is_absolute() or Path(rest).exists() else folder / rest


def _segment(rest: str, path: Path, number: int) -> tuple[str, float, float]:
    fields = rest.split()
    try:
        recording, start, end = fields[0], float(fields[1]), float(fields[2])
    except (IndexError, ValueError):
        message = "expected an utterance, its recording, and start and end in seconds"
        raise InputError(message, file=path, line=number) from None
    return recording, start, end


def _check_times(start: float, duration: float | None, path: Path, number: int) -> None:
    if not (math.isfinite(start) and start >= 0):
        raise InputError(f"start {start}, expected seconds from 0 on", file=path, line=number)
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise InputError(f"duration {duration:g} s, expected more than 0", file=path, line=number)
