"""The n-best list of this package: one utterance a line (JSON Lines), or a JSON array of the same objects.

::

    {"id": "1089-134686-0000", "recording": "1089-134686", "reference": "he hoped there would be stew",
     "hypotheses": [{"text": "he hoped there would be stew", "scores": {"acoustic": -41.7, "lm": -20.3}}]}

``id`` and ``hypotheses`` (each with a ``text``) are needed, the rest is optional
(:class:`~asr_lm.hypotheses.utterance.Utterance` says what it means). Other fields are allowed and named once, unless
they look like a score or a reference that would be lost; of a key given twice in one object the last counts. Scores are
natural logarithms, larger is better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.inference import infer
from asr_lm.hypotheses.json_records import decode_record, json_records
from asr_lm.hypotheses.taking import looks_like_reference, looks_like_score
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location

_UTTERANCE = frozenset(Utterance.__struct_fields__)
_HYPOTHESIS = frozenset(Hypothesis.__struct_fields__)
_DECODER = msgspec.json.Decoder(Utterance)
_JSON_LINES = re.compile(r"\.(jsonl|ndjson)(\.gz|\.zst)?$")


def read_canonical(path: Path, sides: SideInputs, notices: Notices) -> Located:
    """Utterances of a canonical list; lines are streamed.

    Raises:
        InputError: a record is malformed, lacks a field, has one of the wrong type, or one that looks like a score or a
            reference and would be lost.
    """
    left: dict[str, None] = {}
    for file in _files(path):
        for place, raw in json_records(file):
            yield place, read_record(raw, place, left)
    if left:
        notices.say(f"canonical: left unread: {', '.join(left)}")


def read_record(raw: bytes, place: Location, left: dict[str, None]) -> Utterance:
    """One utterance; names of fields that are not read join those ``left``.

    Raises:
        InputError: as :func:`read_canonical`.
    """
    try:
        return _DECODER.decode(raw)
    except msgspec.ValidationError as error:
        return decode_record(_DECODER, _known_fields(raw, error, place, left), place)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode_record(_DECODER, raw, place)


def _files(path: Path) -> list[Path]:
    """The file, or those of a folder of shards."""
    return shards_of(path) or [path]


def shards_of(path: Path) -> list[Path]:
    """The files of a folder that holds nothing but JSON Lines, in the order of names; none of anything else."""
    if not path.is_dir():
        return []
    shown = sorted(file for file in path.iterdir() if not file.name.startswith((".", "_")))
    return shown if all(file.is_file() and _JSON_LINES.search(file.name) for file in shown) else []


def _known_fields(raw: bytes, error: msgspec.ValidationError, place: Location, left: dict[str, None]) -> bytes:
    """The record without the fields that are not read, which join those ``left``."""
    if "unknown field" not in str(error):
        return raw
    record = decode_record(msgspec.json.Decoder(dict[str, Any]), raw, place)
    for path, name, found in _unread(record):
        _check(record, path, name, found, place)
        left[path] = None
    kept = {name: value for name, value in record.items() if name in _UTTERANCE}
    if isinstance(kept.get("hypotheses"), list):
        kept["hypotheses"] = [
            {name: value for name, value in entry.items() if name in _HYPOTHESIS} if isinstance(entry, dict) else entry
            for entry in kept["hypotheses"]
        ]
    return msgspec.json.encode(kept)


def _unread(record: Any) -> Iterator[tuple[str, str, Any]]:
    """Path, name and value of each field that is not read."""
    for name, found in record.items():
        if name not in _UTTERANCE:
            yield name, name, found
    hypotheses = record.get("hypotheses")
    for entry in hypotheses if isinstance(hypotheses, list) else []:
        for name, found in entry.items() if isinstance(entry, dict) else []:
            if name not in _HYPOTHESIS:
                yield f"hypotheses[].{name}", name, found


def _check(record: dict[str, Any], path: str, name: str, found: Any, place: Location) -> None:
    identity = record.get("id") if isinstance(record.get("id"), str) else None
    if looks_like_score(name, found):
        message = f'looks like a score and is not read here, expected "scores": {{"{name}": …}} in each hypothesis'
        raise place.error(message, identity, path)
    if "reference" not in record and looks_like_reference(name, found):
        raise place.error('looks like a reference and is not read here, expected it as "reference"', identity, path)


def _fits(beginning: Beginning) -> bool:
    """Whether the first record has hypotheses as this form has them, or nothing that another reader could find."""
    record = beginning.first
    if beginning.is_folder and not shards_of(beginning.path):
        return False
    if not isinstance(record, dict) or "hypotheses" not in record:
        return False
    if _is_numbered(record["hypotheses"]):
        return False
    return _is_strict(record) or not _is_near(beginning.sample)


def _is_numbered(hypotheses: object) -> bool:
    return isinstance(hypotheses, dict) and any(str(key).startswith("hyp_") for key in hypotheses)


def _is_strict(record: dict[str, Any]) -> bool:
    hypotheses = record["hypotheses"]
    if not isinstance(record.get("id"), str) or not isinstance(hypotheses, list):
        return False
    if not all(isinstance(entry, dict) and isinstance(entry.get("text"), str) for entry in hypotheses):
        return False
    if not all(
        isinstance(scores, dict) and _are_numbers(scores) for scores in (e.get("scores", {}) for e in hypotheses)
    ):
        return False
    try:
        for path, name, found in _unread(record):
            _check(record, path, name, found, Location(""))
    except InputError:
        return False
    return True


def _are_numbers(scores: dict[str, Any]) -> bool:
    return not any(isinstance(value, str) and "tensor" in value for value in scores.values())


def _is_near(sample: list[Any]) -> bool:
    """Whether the records are close to this form, and what they mean can be told from the names in them."""
    try:
        return infer(sample) is not None
    except InputError:
        return True


FORMAT = Format(
    name="canonical",
    about="JSON Lines (a file, or a folder of them) or a JSON array of this package's own objects: id, hypotheses with "
    "text and scores",
    fits=_fits,
    read=read_canonical,
)
