"""mlm-scoring's n-best lists: one JSON object for the whole list.

``{"utterance": {"hyp_1": {"score": -30.4, "text": "…"}, …, "ref": "…"}, …}``; ``ref`` may be absent. Hypotheses are
ranked by the number in their key (the files sort the keys as text, ``hyp_10`` before ``hyp_2``). Source: J. Salazar
et al., "Masked Language Model Scoring", 2020, and the lists of J. Shin et al., 2019, that it publishes.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from asr_lm.files import display_name, read_bytes
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.json_records import BYTE_ORDER_MARK, NOT_FINITE, SURROGATE, parse_document
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location

_KEY = re.compile(r"hyp_(\d{1,9})", re.ASCII)
_START = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"hyp_\d+"\s*:')


def read_mlm_scoring(path: Path) -> Located:
    """Utterances of an mlm-scoring dictionary, which is read whole; the score is called ``score``.

    Raises:
        InputError: malformed JSON, a key given twice, an unknown key or a wrong type.
    """
    place = Location(display_name(path))

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) != len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise place.error(f"key {twice!r} is given twice in one object, expected it once")
        return entries

    data = read_bytes(path).removeprefix(BYTE_ORDER_MARK)
    document = parse_document(data, place, object_pairs_hook=distinct)
    if not isinstance(document, dict):
        raise place.error('expected one object, {"utterance": {"hyp_1": {"score": …, "text": …}, …}, …}')
    if not document:
        raise place.error("empty list, expected at least one utterance")
    for identity, entry in document.items():
        yield place, _utterance(_text(identity, place, None, "id"), entry, place)


def _utterance(identity: str, entry: Any, place: Location) -> Utterance:
    if not isinstance(entry, dict):
        raise place.error(f"expected an object with hyp_1, hyp_2, …, got {_named(entry)}", identity)
    reference = entry.pop("ref", None)
    if reference is not None:
        reference = _text(reference, place, identity, "ref")
    ranked: dict[int, Hypothesis] = {}
    for key, value in entry.items():
        number = _number(key)
        if number is None:
            raise place.error(f"unknown key {key!r}, expected hyp_1, hyp_2, … or ref", identity)
        if number in ranked:
            raise place.error(f"two hypotheses of number {number}", identity, key)
        ranked[number] = _hypothesis(value, place, identity, key)
    return Utterance(identity, tuple(ranked[number] for number in sorted(ranked)), reference)


@functools.lru_cache(maxsize=4096)
def _number(key: str) -> int | None:
    match = _KEY.fullmatch(key)
    return int(match[1]) if match else None


def _hypothesis(value: Any, place: Location, identity: str, key: str) -> Hypothesis:
    if not isinstance(value, dict):
        raise place.error(f"expected an object with score and text, got {_named(value)}", identity, key)
    for field in ("score", "text"):
        if field not in value:
            raise place.error("missing", identity, f"{key}.{field}")
    score = _score(value["score"], place, identity, key)
    return Hypothesis(_text(value["text"], place, identity, key, "text"), {"score": score})


def _score(value: Any, place: Location, identity: str, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise place.error(f"expected a number, got {_named(value)}", identity, f"{key}.score")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise place.error(NOT_FINITE, identity, f"{key}.score")
    return score


def _text(value: Any, place: Location, identity: str | None, *field: str) -> str:
    if not isinstance(value, str):
        raise place.error(f"expected a string, got {_named(value)}", identity, ".".join(field))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise place.error(SURROGATE, identity, ".".join(field)) from None
    return value


def _named(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _fits(beginning: Beginning) -> bool:
    """Whether the file is one object whose entries have hyp_1, hyp_2, …; most are told without reading them whole."""
    if _START.match(beginning.text):
        return True
    record = beginning.first
    if not isinstance(record, dict) or beginning.is_array:
        return False
    return not record or any(isinstance(entry, dict) and any(map(_number, entry)) for entry in record.values())


FORMAT = Format(
    name="mlm-scoring",
    about="mlm-scoring's dictionary: utterance, hyp_1 with score and text, …, ref",
    fits=_fits,
    read=plain(read_mlm_scoring),
)
