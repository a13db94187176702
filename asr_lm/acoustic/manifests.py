"""Manifests: utterances of sound files as JSON Lines, a JSON array, or a table with a header.

Which form a record has is told by its fields:

* ours: ``audio`` (a path), and ``id``, ``start`` and ``duration`` in seconds, ``reference``, ``recording``, ``channel``
  (from 1); the names that other tools give these (``offset``, ``begin``, ``end``, ``sentence``, ``text``, ``path``, …)
  are read as well;
* ``nemo``: ``audio_filepath``, ``duration``, ``offset``, ``text`` (NVIDIA NeMo);
* ``lhotse``: a cut with its ``recording`` and ``supervisions``, whose texts are joined (lhotse's ``MonoCut``);
* ``common-voice``: a table with ``path`` and ``sentence``, its sound in ``clips`` beside it (Mozilla Common Voice);
* ``whisper``: ``audio`` is an object with a ``path``, and ``sentence`` (the data sets that Whisper is fine-tuned on).

A field that looks like a time, a text or a path and is not read is an error, so that nothing is recognised from the
wrong second or without its reference. A path is looked for beside the manifest, then where the command runs.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from asr_lm.acoustic.speech import Speech, check_times
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import iterate_text
from asr_lm.hypotheses.json_records import json_records, parse_document

Record = Mapping[str, Any]

NAMES = {
    "audio": ("audio", "audio_filepath", "audio_file", "audio_path", "path", "file", "filename", "wav", "wav_path"),
    "id": ("id", "utt_id", "utterance_id", "key", "utt"),
    "start": ("start", "offset", "begin", "start_time"),
    "duration": ("duration",),
    "end": ("end", "end_time"),
    "reference": ("reference", "text", "sentence", "transcript", "transcription"),
    "recording": ("recording", "recording_id"),
    "channel": ("channel",),
}
"""Names of a field in the manifests of others, ours first."""

_NOTHING_ELSE = frozenset(
    [
        "text_no_preprocessing", "text_original", "orig_text", "sampling_rate", "sample_rate", "num_samples",
        "sentences", "sentences_count", "sentence_id", "sentence_domain", "language", "lang", "task",
        "start_sample",
    ]
)  # fmt: skip
"""Fields that look like more and are known: other writings of the same text, and what sound says by itself."""

_SUSPICIOUS = re.compile(
    r"(^|_)(start|begin|end|offset|onset|dur|duration|time|times|seconds|sec|ms|text|sentence|transcript|transcription|"
    r"reference|words|path|filepath|file|filename|audio|wav|channel|segment|segments)(_|$)",
    re.IGNORECASE,
)
_SUFFIXES = (".jsonl", ".json", ".ndjson", ".tsv", ".csv", ".manifest")
_PACKED = (".gz", ".zst")
_CLIPS = "clips"
_EXPECTED = "expected an object with audio, and id, start, duration, reference or recording"


@dataclass(frozen=True)
class _Place:
    """A record of a manifest."""

    manifest: Path
    line: int | None

    def error(self, message: str, field: str | None = None) -> InputError:
        return InputError(message, file=self.manifest, line=self.line, field=field)


def is_manifest(path: Path) -> bool:
    """Whether a file is named like a manifest."""
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return name.endswith(_SUFFIXES)


def read_manifest(path: Path) -> Iterator[Speech]:
    """The utterances of a manifest.

    Raises:
        InputError: it cannot be read, a record lacks its sound, a value has another type, or a field that matters is
            not read.
    """
    for place, record in _records(path):
        preset = next((preset for fits, preset in _PRESETS if fits(record, path)), _general)
        yield preset(record, place)


def _records(path: Path) -> Iterator[tuple[_Place, Record]]:
    if _stem(path).endswith((".tsv", ".csv")):
        yield from _table(path, "\t" if _stem(path).endswith(".tsv") else ",")
        return
    try:
        for where, raw in json_records(path):
            place = _Place(path, where.line)
            record = parse_document(raw, where)
            if not isinstance(record, dict):
                raise place.error(f"found {type(record).__name__}; {_EXPECTED}")
            yield place, record
    except InputError as error:
        if _EXPECTED in error.message:
            raise
        raise InputError(f"{error.message}; {_EXPECTED}", file=path, line=error.line, field=error.field) from None


def _stem(path: Path) -> str:
    name = path.name.lower()
    return name.removesuffix(".gz").removesuffix(".zst")


def _table(path: Path, separator: str) -> Iterator[tuple[_Place, Record]]:
    """The rows of a table by its header; Common Voice quotes nothing, tables with commas do."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    header: list[str] | None = None
    for number, line in iterate_text(path):
        if number == 1:
            line = line.removeprefix("\ufeff")
        if not line.strip():
            continue
        place = _Place(path, number)
        try:
            cells = next(csv.reader(io.StringIO(line), delimiter=separator, quoting=quoting))
        except (csv.Error, StopIteration) as error:
            raise place.error(f"malformed row ({error})") from None
        if header is None:
            header = cells
            if len({*header}) < len(header):
                raise place.error("two columns of one name")
        elif len(cells) != len(header):
            raise place.error(f"{counted(len(cells), 'field')}, expected {len(header)} as in the header")
        else:
            yield place, {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}


def _general(record: Record, place: _Place) -> Speech:
    """A record of ours, of NeMo, or with names of another tool."""
    fields = {wanted: _named(record, names, place) for wanted, names in NAMES.items()}
    _refuse_unread(record, {name for name, _ in filter(None, fields.values())}, place)
    values = {wanted: found[1] for wanted, found in fields.items() if found is not None}
    if "audio" not in values:
        raise place.error(f"no sound file; {_EXPECTED}", field="audio")
    audio = _text(values["audio"], "audio", place)
    start = _seconds(values.get("start", 0.0), "start", place)
    return _speech(
        place,
        audio,
        id=_identity(values.get("id"), place) or Path(audio).stem,
        start=start,
        duration=_duration(values, start, place),
        reference=_text(values["reference"], "reference", place) if "reference" in values else None,
        recording=_identity(values.get("recording"), place),
        channel=_channel(values["channel"], place) if "channel" in values else None,
    )


def _common_voice(record: Record, place: _Place) -> Speech:
    """A row of Common Voice."""
    audio = _text(record["path"], "path", place)
    folder = place.manifest.parent / _CLIPS
    inside = str(Path(_CLIPS, audio)) if (folder / audio).exists() or folder.is_dir() else audio
    reference = _text(record["sentence"], "sentence", place) if "sentence" in record else None
    return _speech(place, inside, id=Path(audio).stem, reference=reference)


def _whisper(record: Record, place: _Place) -> Speech:
    """A record whose sound is an object."""
    audio = record["audio"]
    inner = {name for name in audio if name not in ("path", "start", "start_time", "end", "end_time", "sampling_rate")}
    if inner:
        raise place.error(f"fields {', '.join(sorted(inner))} of the sound are not read", field="audio")
    times = {name: value for name, value in audio.items() if name not in ("path", "sampling_rate")}
    return _general({**record, "audio": audio.get("path"), **times}, place)


def _lhotse(record: Record, place: _Place) -> Speech:
    """A cut of lhotse."""
    recording = record["recording"]
    sources = recording.get("sources") if isinstance(recording, dict) else None
    files = [one for one in sources or [] if isinstance(one, dict) and one.get("type") == "file"]
    if len(files) != 1 or len(sources or []) != 1:
        raise place.error("expected one source of type file; commands and addresses are not run", "recording.sources")
    if record.get("type", "MonoCut") != "MonoCut":
        raise place.error(f"{record['type']!r} cannot be read, expected MonoCut", field="type")
    channel = record.get("channel", 0)
    start = _seconds(record.get("start", 0.0), "start", place)
    duration = record.get("duration")
    return _speech(
        place,
        _text(files[0].get("source"), "recording.sources[0].source", place),
        id=_identity(record.get("id"), place) or "",
        start=start,
        duration=None if duration is None else _seconds(duration, "duration", place),
        reference=_supervised(record.get("supervisions") or [], place),
        recording=_identity(recording.get("id"), place),
        channel=_channel(channel + 1 if type(channel) is int else channel, place) if channel else None,
    )


def _supervised(supervisions: Any, place: _Place) -> str | None:
    """The texts of a cut's supervisions, joined in the order of their starts."""
    if not isinstance(supervisions, list) or not all(isinstance(one, dict) for one in supervisions):
        raise place.error("expected a list of objects", field="supervisions")
    said = sorted(supervisions, key=lambda one: _seconds(one.get("start", 0.0), "supervisions.start", place, 0))
    texts = [one["text"] for one in said if one.get("text") is not None]
    return " ".join(_text(text, "supervisions.text", place) for text in texts) if texts else None


_PRESETS: Sequence[tuple[Callable[[Record, Path], bool], Callable[[Record, _Place], Speech]]] = (
    (lambda record, _: isinstance(record.get("recording"), dict), _lhotse),
    (lambda record, path: {"client_id", "path"} <= record.keys() and ".tsv" in path.name.lower(), _common_voice),
    (lambda record, _: isinstance(record.get("audio"), dict), _whisper),
)


def _named(record: Record, names: Sequence[str], place: _Place) -> tuple[str, Any] | None:
    """Name and value of a field under one of its names; null is as good as missing."""
    there = [name for name in names if record.get(name) is not None]
    if len(there) > 1:
        raise place.error(f"{' and '.join(there)} mean the same; leave one", field=there[1])
    return (there[0], record[there[0]]) if there else None


def _refuse_unread(record: Record, read: set[str], place: _Place) -> None:
    for name, value in record.items():
        if name not in read and value is not None and name not in _NOTHING_ELSE and _SUSPICIOUS.search(name):
            known = ", ".join(wanted for wanted in NAMES)
            raise place.error(
                f"looks like a time, a text or a path and is not read; name it {known}, or remove it", name
            )


def _duration(values: Record, start: float, place: _Place) -> float | None:
    given = _seconds(values["duration"], "duration", place) if "duration" in values else None
    if "end" not in values:
        return given
    until = _seconds(values["end"], "end", place) - start
    if given is not None and abs(until - given) > 0.05:
        raise place.error(f"end says {until:g} s after the start, and duration says {given:g} s", field="duration")
    return until


def _speech(place: _Place, audio: str, **facts: Any) -> Speech:
    facts = {"start": 0.0, "duration": None, "recording": None, **facts}
    check_times(facts["start"], facts["duration"], place.manifest, place.line)
    if not facts["id"]:
        raise place.error("no id", field="id")
    facts["recording"] = facts["recording"] or facts["id"]
    beside, here = place.manifest.parent / audio, Path(audio)
    try:
        path = here if not beside.exists() and here.exists() else beside
    except (OSError, ValueError) as error:
        raise place.error(f"no path of a file ({error})", field="audio") from None
    return Speech(path=path, **facts)


def _text(value: Any, field: str, place: _Place) -> str:
    if not isinstance(value, str):
        raise place.error(f"found {type(value).__name__}, expected text; {_EXPECTED}", field=field)
    if "\0" in value:
        raise place.error("holds a null character", field=field)
    return value


def _identity(value: Any, place: _Place) -> str | None:
    """An id; numbers are written out."""
    if value is None or (isinstance(value, str) and value):
        return value
    if type(value) is int:
        return str(value)
    raise place.error(f"found {value!r}, expected a name", field="id")


def _seconds(value: Any, field: str, place: _Place, least: float | None = None) -> float:
    try:
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        seconds = None
    if seconds is None or (least is not None and not seconds >= least):
        raise place.error(f"found {value!r}, expected seconds; {_EXPECTED}", field=field)
    return seconds


def _channel(value: Any, place: _Place) -> int:
    try:
        channel = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else 0
    except ValueError:
        channel = 0
    if channel < 1:
        raise place.error(f"found {value!r}, expected a channel from 1 on", field="channel")
    return channel
