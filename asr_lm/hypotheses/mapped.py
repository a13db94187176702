"""Utterances from records by a mapping, and what of the records was left unread."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from asr_lm.counted import counted
from asr_lm.hypotheses.mapping import MISSING, Mapping, Score, Step, Steps, follow, is_many, numbering, written
from asr_lm.hypotheses.records import Record
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal

_TENSOR = re.compile(r"tensor\(\s*(?:\[\s*)?([^\s,\]\)]+)\s*(?:\]\s*)?(?:,.*)?\)")
_PIECE = "▁"

Unread = Callable[[str, Any, Location, str], None]
"""Called with the path and a value of a field that no path reads, its place and the utterance."""


def read_mapped(records: Iterable[Record], mapping: Mapping, unread: Unread | None = None) -> Located:
    """The utterances of the records.

    Args:
        records: as they come.
        mapping: where the fields lie.
        unread: is told of fields that are not read.

    Raises:
        InputError: a field is missing or has the wrong type, scores and texts differ in number.
    """
    if mapping.is_by_rows:
        yield from _grouped(records, mapping, unread)
        return
    waiting: _Value | None = None
    number = 0
    # One utterance ahead: a document that holds a single one lends it its name.
    for number, entry in enumerate(_values(records, mapping), 1):
        if waiting is not None:
            yield _utterance(waiting, number - 1, mapping, unread, alone=False)
        waiting = entry
    if waiting is not None:
        yield _utterance(waiting, number, mapping, unread, alone=number == 1)


class _Value(NamedTuple):
    """An utterance's value, its place, the name of its file, whether that is an id, its key in a dictionary by id."""

    place: Location
    value: Any
    stem: str
    is_named: bool
    key: str | None


def _values(records: Iterable[Record], mapping: Mapping) -> Iterator[_Value]:
    for record in records:
        found = list(follow(mapping.utterances, record.value))
        if not found and _holds_a_list(record.value):
            message = "no utterance, expected them here as in the other records"
            raise record.place.error(message, field=written(mapping.utterances))
        for position, (key, value) in enumerate(found):
            if value is MISSING:
                raise record.place.error("missing", field=written(mapping.utterances))
            stem = record.stem if len(found) == 1 else f"{record.stem}-{position + 1}"
            yield _Value(record.place, value, stem, record.is_named, key)


def _holds_a_list(value: Any) -> bool:
    """Whether there are more than single facts in a value: services answer silence with such alone."""
    if isinstance(value, dict):
        return any(map(_holds_a_list, value.values()))
    return isinstance(value, (list, tuple)) and len(value) > 0


def _utterance(
    entry: _Value, number: int, mapping: Mapping, unread: Unread | None, alone: bool
) -> tuple[Location, Utterance]:
    place, value, stem, is_named, key = entry
    identity = _identity(mapping, value, place, key) or (stem if alone or is_named else f"utt-{number:06d}")
    if unread is not None:
        report_unread(value, mapping, lambda path, found: unread(path, found, place, identity))
    texts = [_text(found, place, identity, mapping.text) for _, found in follow(mapping.text, value)]
    columns = {
        score.name: column
        for score in mapping.scores
        if (column := _column(score, value, len(texts), place, identity)) is not None
    }
    hypotheses = [
        Hypothesis(text, {name: column[rank] for name, column in columns.items()}) for rank, text in enumerate(texts)
    ]
    if mapping.rank is not None:
        ranks = [_number(found, place, identity, mapping.rank) for _, found in follow(mapping.rank, value)]
        if len(ranks) != len(hypotheses):
            raise place.error(
                f"{counted(len(ranks), 'rank')} for {counted(len(texts), 'hypothesis', 'hypotheses')}",
                identity,
                written(mapping.rank),
            )
        hypotheses = [pair[1] for pair in sorted(zip(ranks, hypotheses, strict=True), key=lambda pair: pair[0])]
    reference = _optional(mapping.reference, value, place, identity)
    return place, Utterance(
        identity, tuple(hypotheses), reference, _optional(mapping.recording, value, place, identity)
    )


def _identity(mapping: Mapping, value: Any, place: Location, key: str | None) -> str | None:
    if mapping.id is None:
        return key
    found = next(iter(follow(mapping.id, value)), (None, MISSING))[1]
    if found is MISSING or found is None:
        raise place.error("missing", field=written(mapping.id))
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise place.error(f"expected an id, got {kind(found)}", field=written(mapping.id))
    return str(found)


def _optional(steps: Steps | None, value: Any, place: Location, identity: str) -> str | None:
    found = MISSING if steps is None else next(iter(follow(steps, value)), (None, MISSING))[1]
    if found is MISSING or found is None:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return _text(found, place, identity, steps or ())


def _text(found: Any, place: Location, identity: str, steps: Steps) -> str:
    if isinstance(found, (list, tuple)) and all(isinstance(word, str) for word in found):
        return joined(list(found))
    if not isinstance(found, str):
        message = "missing" if found is MISSING else f"expected a text, got {kind(found)}"
        raise place.error(message, identity, written(steps))
    try:
        found.encode()
    except UnicodeEncodeError:
        raise place.error("half of a surrogate pair, expected Unicode text", identity, written(steps)) from None
    return found


def joined(words: list[str]) -> str:
    """The text of words, or of SentencePiece pieces (``▁`` begins a word)."""
    if any(word.startswith(_PIECE) for word in words):
        return "".join(words).replace(_PIECE, " ").strip()
    return " ".join(words)


def _column(score: Score, value: Any, number: int, place: Location, identity: str) -> list[float] | None:
    """A score of each hypothesis; None where none has it."""
    found = [entry for _, entry in follow(score.path, value)]
    if not found or all(entry is MISSING or entry is None for entry in found):
        return None
    if not is_many(score.path):
        if number > 1:
            raise place.error("one number for all hypotheses, expected one each", identity, written(score.path))
    elif len(found) != number:
        message = f"{counted(len(found), 'score')} for {counted(number, 'hypothesis', 'hypotheses')}, expected one each"
        raise place.error(message, identity, written(score.path))
    values = [_natural(score, entry, place, identity) for entry in found]
    if score.minus is None:
        return values
    taken = [_number(entry, place, identity, score.minus) for _, entry in follow(score.minus, value)]
    if len(taken) != len(values):
        raise place.error(
            f"{counted(len(taken), 'number')} for {counted(number, 'hypothesis', 'hypotheses')}",
            identity,
            written(score.minus),
        )
    return [one - other for one, other in zip(values, taken, strict=True)]


def _natural(score: Score, found: Any, place: Location, identity: str) -> float:
    value = score.natural(_number(found, place, identity, score.path))
    if value is None:
        message = f"{found} has no logarithm, expected a probability above 0"
        raise place.error(message, identity, written(score.path))
    return value


def _number(found: Any, place: Location, identity: str, steps: Steps) -> float:
    value = number_in(found)
    if value is None:
        if found is MISSING or found is None:
            raise place.error("missing, expected a score of every hypothesis or of none", identity, written(steps))
        message = "not a finite number" if isinstance(found, (int, float)) else f"got {kind(found)}"
        raise place.error(f"{message}, expected a finite score", identity, written(steps))
    return value


def number_in(found: Any) -> float | None:
    """The finite number that a value is, or that its text writes: ``-4.11``, ``tensor(-4.11)``, ``[-4.11]``."""
    if isinstance(found, (list, tuple)) and len(found) == 1:
        found = found[0]
    if isinstance(found, str):
        tensor = _TENSOR.fullmatch(found.strip())
        return decimal(tensor[1] if tensor else found.strip())
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    try:
        value = float(found)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def kind(value: Any) -> str:
    """What JSON calls a value."""
    if value is MISSING:
        return "nothing"
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _grouped(records: Iterable[Record], mapping: Mapping, unread: Unread | None) -> Located:
    """Utterances of records that hold a hypothesis each: those of one id, wherever they stand, in their order."""
    groups: dict[str, list[tuple[float, Hypothesis]]] = {}
    places: dict[str, Location] = {}
    references: dict[str, str | None] = {}
    recordings: dict[str, str | None] = {}
    for place, value, _, _, key in _values(records, mapping):
        identity = _identity(mapping, value, place, key)
        if identity is None:
            raise place.error("no id, expected the id of the utterance beside each hypothesis", field="id")
        if unread is not None:
            _report_row(value, mapping, unread, place, identity)
        hypothesis = _row_hypothesis(value, mapping, place, identity)
        group = groups.setdefault(identity, [])
        rank = (
            len(group) if mapping.rank is None else _number(_only(mapping.rank, value), place, identity, mapping.rank)
        )
        group.append((float(rank), hypothesis))
        places.setdefault(identity, place)
        recordings.setdefault(identity, _optional(mapping.recording, value, place, identity))
        reference = _optional(mapping.reference, value, place, identity)
        if references.setdefault(identity, reference) != reference:
            raise place.error("two references of one utterance differ", identity, written(mapping.reference or ()))
    for identity, group in groups.items():
        hypotheses = tuple(hypothesis for _, hypothesis in sorted(group, key=lambda pair: pair[0]))
        yield places[identity], Utterance(identity, hypotheses, references[identity], recordings[identity])


def _report_row(value: Any, mapping: Mapping, unread: Unread, place: Location, identity: str) -> None:
    report_unread(value, mapping, lambda path, found: unread(path, found, place, identity))


def _row_hypothesis(value: Any, mapping: Mapping, place: Location, identity: str) -> Hypothesis:
    text = _text(_only(mapping.text, value), place, identity, mapping.text)
    scores = {score.name: _natural(score, _only(score.path, value), place, identity) for score in mapping.scores}
    return Hypothesis(text, scores)


def _only(steps: Steps, value: Any) -> Any:
    return next(iter(follow(steps, value)), (None, MISSING))[1]


def report_unread(value: Any, mapping: Mapping, say: Callable[[str, Any], None]) -> None:
    """Call ``say`` with each field of an utterance's value that no path reads, the whole subtree once."""
    _walk(value, "", mapping.paths(), say)


def _walk(value: Any, prefix: str, paths: list[Steps], say: Callable[[str, Any], None]) -> None:
    if any(not steps for steps in paths):
        return
    if isinstance(value, dict):
        for name, entry in value.items():
            rest = [steps[1:] for steps in paths if _takes_key(steps[0], name)]
            path = written((Step("key", name),))
            _descend(entry, f"{prefix}.{path}" if prefix else path, rest, say)
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            rest = [steps[1:] for steps in paths if _takes_index(steps[0], index, len(value))]
            each = any(steps[0].kind == "each" for steps in paths)
            _descend(entry, f"{prefix}[]" if each else f"{prefix}[{index}]", rest, say)


def _descend(entry: Any, path: str, rest: list[Steps], say: Callable[[str, Any], None]) -> None:
    if rest:
        _walk(entry, path, rest, say)
    elif entry not in (None, "", [], {}):
        say(path, entry)


def _takes_key(step: Step, name: str) -> bool:
    if step.kind == "numbered":
        return numbering(step, name) is not None
    return step.kind == "values" or (step.kind == "key" and step.name == name)


def _takes_index(step: Step, index: int, length: int) -> bool:
    return step.kind == "each" or (step.kind == "index" and int(step.name) % length == index)
