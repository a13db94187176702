"""Reading records by a mapping that was inferred or preset: what is taken and left is said, what looks lost is refused.

A field that looks like a score, a reference or an id and is not read is an error that says what to write; other fields
that are not read are named once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses import field_names as names
from asr_lm.hypotheses.format import Notices
from asr_lm.hypotheses.mapped import number_in, read_mapped
from asr_lm.hypotheses.mapping import Mapping
from asr_lm.hypotheses.records import Record
from asr_lm.hypotheses.validation import Located, Location

_NAMED = 12


def take(
    format: str,
    records: Iterable[Record],
    mapping: Mapping | None,
    path: Path,
    notices: Notices,
) -> Located:
    """The utterances, and one notice on what was taken and what was left.

    Args:
        format: the name of the format.
        records: as they come.
        mapping: where the fields lie, None where that could not be told.
        path: of the list.
        notices: what was taken and left goes here.

    Raises:
        InputError: a field that is not read looks as if it should be.
    """
    if mapping is None:
        message = "no list of hypotheses under a usual name: say where the fields lie with `mapping=`"
        raise InputError(message, file=display_name(path))
    left: dict[str, None] = {}

    def unread(path: str, found: Any, place: Location, utterance: str) -> None:
        if path not in left:
            _check(path, found, mapping, place, utterance)
            left[path] = None

    yield from read_mapped(records, mapping, unread)
    notices.say(f"{format}: read as {mapping}{and_left(list(left))}")


def and_left(left: list[str]) -> str:
    """The end of a notice: the fields that were left."""
    if not left:
        return ""
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return f"; left unread: {', '.join(left[:_NAMED])}{more}"


def _check(path: str, found: Any, mapping: Mapping, place: Location, utterance: str) -> None:
    if path in mapping.left:
        return
    name = path.replace("[]", "").rpartition(".")[2]
    depth = path.count("[]")
    what = _what(name, found, mapping, depth)
    if what is not None:
        message = f"looks like {what} and is not read: read it with `mapping='{mapping} {_wanted(what, name)}={path}'`"
        raise place.error(f"{message}, or leave it out with `mapping='{mapping}'`", utterance, path)


def _wanted(what: str, name: str) -> str:
    return {"a reference": "reference", "an id": "id"}.get(what, name)


def _what(name: str, found: Any, mapping: Mapping, depth: int) -> str | None:
    if looks_like_score(name, found) and depth <= 1:
        return "a score"
    if depth == 0 and mapping.reference is None and looks_like_reference(name, found):
        return "a reference"
    if depth == 0 and mapping.id is None and not mapping.utterances and looks_like_id(name, found):
        return "an id"
    return None


def looks_like_score(name: str, found: Any) -> bool:
    """Whether a field that nobody reads may be a score of the hypotheses."""
    if not names.is_score(name):
        return False
    if isinstance(found, dict):
        return bool(found) and all(number_in(value) is not None for value in found.values())
    if isinstance(found, list):
        return bool(found) and all(number_in(value) is not None for value in found)
    return number_in(found) is not None


def looks_like_reference(name: str, found: Any) -> bool:
    """Whether a field that nobody reads may be the reference."""
    return isinstance(found, str) and names.squashed(name) in names.SURE_REFERENCES


def looks_like_id(name: str, found: Any) -> bool:
    """Whether a field that nobody reads may be the id."""
    return isinstance(found, (str, int)) and names.squashed(name) in names.IDS[:8]
