"""A mapping from what the first records look like: names that people and services use for the same things.

It finds the list of hypotheses, its texts, the scores in it or beside it, the id and the reference. Where two fields
could be the reference, or a field looks like a score and its place in the list is not clear, the user is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from asr_lm.errors import InputError
from asr_lm.hypotheses import field_names as names
from asr_lm.hypotheses.mapped import number_in
from asr_lm.hypotheses.mapping import MISSING, Mapping, Score, Step, Steps, follow, written

EACH, VALUES = Step("each"), Step("values")
_NUMBERED = re.compile(r"(.*?)\d{1,3}", re.ASCII | re.DOTALL)


def infer(sample: list[Any]) -> Mapping | None:
    """The mapping of records like these; None where there is no list of hypotheses in them.

    Raises:
        InputError: it is not clear what a field means.
    """
    sample = [value for value in sample if isinstance(value, (dict, list))]
    if not sample:
        return None
    mapping = _of_records(sample) or _in_container(sample) or _by_id(sample)
    return mapping


def _of_records(sample: list[Any]) -> Mapping | None:
    """Records that are an utterance each: objects with a list, or bare lists of hypotheses."""
    if all(isinstance(value, list) for value in sample):
        return _with_hypotheses((), sample, [])
    objects = [value for value in sample if isinstance(value, dict)]
    if len(objects) != len(sample):
        return None
    for path in _list_paths(objects):
        mapping = _with_hypotheses(path, [_at(path, value) for value in objects], objects)
        if mapping is not None:
            return mapping
    return _wide(objects)


def _list_paths(objects: list[dict[str, Any]]) -> Iterable[Steps]:
    keys = _keys(objects)
    known = [key for name in names.LISTS for key in keys if names.squashed(key) == name]
    return [(Step("key", key),) for key in known]


def _keys(objects: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for value in objects for key in value))


def _at(path: Steps, value: Any) -> Any:
    return next(iter(follow(path, value)))[1]


def _with_hypotheses(path: Steps, lists: list[Any], objects: list[dict[str, Any]]) -> Mapping | None:
    """The mapping where the hypotheses are the elements of these lists, each beside its object."""
    present = [found for found in lists if isinstance(found, list)]
    elements = [element for found in present for element in found]
    if not elements or any(found is not MISSING and not isinstance(found, list) for found in lists):
        return None
    each = (*path, EACH)
    inner = _text_and_scores(elements)
    if inner is None:
        return None
    text, scores = inner
    left = [steps for _, steps in scores if _only_of_first(steps, present)]
    found = [Score(name, (*each, *steps)) for name, steps in scores if steps not in left]
    beside = [] if scores else _parallel(path, lists, objects)
    known = tuple(written((*each, *steps)) for steps in left)
    mapping = Mapping(text=(*each, *text), scores=(*found, *beside), left=known)
    return _with_fields(mapping, objects)


def _only_of_first(steps: Steps, lists: list[list[Any]]) -> bool:
    """Whether only the first hypothesis of each list has this score, as services do: 0 for the others, or none."""
    rest = [number_in(_at(steps, element)) for found in lists for element in found[1:]]
    return bool(rest) and not any(rest)


def _text_and_scores(elements: list[Any]) -> tuple[Steps, list[tuple[str, Steps]]] | None:
    """Where a hypothesis has its text and its scores."""
    if all(isinstance(element, str) for element in elements):
        return (), []
    if all(isinstance(element, dict) for element in elements):
        return _in_objects(elements)
    if all(isinstance(element, list) for element in elements):
        return _in_rows(elements)
    return None


def _in_objects(elements: list[dict[str, Any]]) -> tuple[Steps, list[tuple[str, Steps]]] | None:
    keys = [key for key in _keys(elements) if any(_is_text(element.get(key)) for element in elements)]
    key = names.first_of(names.TEXTS, keys)
    if key is None:
        nested = [key for key in ("message", "text") if all(isinstance(e.get(key), dict) for e in elements)]
        inner = _in_objects([element[nested[0]] for element in elements]) if nested else None
        return None if inner is None else ((Step("key", nested[0]), *inner[0]), [])
    return (Step("key", key),), _score_paths(elements)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)
    )


def _score_paths(elements: list[dict[str, Any]]) -> list[tuple[str, Steps]]:
    """Numbers of a hypothesis that look like scores, and those in a dictionary of scores."""
    found: list[tuple[str, Steps]] = []
    for key in _keys(elements):
        values = [element.get(key) for element in elements]
        if names.squashed(key) in ("scores", "score") and any(isinstance(value, dict) for value in values):
            inner = dict.fromkeys(name for value in values if isinstance(value, dict) for name in value)
            found += [(name, (Step("key", key), Step("key", name))) for name in inner]
        elif names.is_score(key) and any(number_in(value) is not None for value in values):
            found.append(("score" if names.squashed(key) == "scores" else key, (Step("key", key),)))
    return [pair for pair in found if not names.is_error_rate(pair[0])]


def _in_rows(elements: list[list[Any]]) -> tuple[Steps, list[tuple[str, Steps]]] | None:
    """Hypotheses such as ``["the text", -4.1]``, or lists of words."""
    if all(isinstance(word, str) for element in elements for word in element):
        return (), []
    width = min(map(len, elements))
    texts = [index for index in range(width) if all(_is_text(element[index]) for element in elements)]
    if not texts:
        return None
    plain = [index for index in texts if all(isinstance(element[index], str) for element in elements)]
    numbers = [
        i for i in range(width) if i not in texts and all(number_in(element[i]) is not None for element in elements)
    ]
    numbers = [i for i in numbers if not all(isinstance(element[i], list) for element in elements)]
    labels = {index: "score" if len(numbers) == 1 else f"score_{index}" for index in numbers}
    return (Step("index", str((plain or texts)[0])),), [(labels[i], (Step("index", str(i)),)) for i in numbers]


def _parallel(path: Steps, lists: list[Any], objects: list[dict[str, Any]]) -> list[Score]:
    """Lists of numbers beside the list of hypotheses, one each; also inside a dictionary called scores."""
    found: list[Score] = []
    for key in _keys(objects):
        values = [value.get(key) for value in objects]
        inner = _keys([value for value in values if isinstance(value, dict)])
        if names.squashed(key) in ("scores", "score") and inner:
            columns: list[tuple[str, Steps]] = [(name, (Step("key", key), Step("key", name))) for name in inner]
        else:
            columns = [(key, (Step("key", key),))]
        for name, steps in columns:
            if _is_parallel([_at(steps, value) for value in objects], lists) and not names.is_no_score(name):
                found.append(Score("score" if names.squashed(name) == "scores" else name, (*steps, EACH)))
    return found


def _is_parallel(columns: list[Any], lists: list[Any]) -> bool:
    pairs = [(column, texts) for column, texts in zip(columns, lists, strict=True) if isinstance(column, list)]
    return bool(pairs) and all(
        all(number_in(value) is not None for value in column) and len(column) > 0 and isinstance(texts, list)
        for column, texts in pairs
    )


def _with_fields(mapping: Mapping, objects: list[dict[str, Any]]) -> Mapping:
    """The mapping with id, reference and recording, looked for among the fields that are not used yet."""
    used = {steps[0].name for steps in mapping.paths() if steps}
    keys = [key for key in _keys(objects) if key not in used]
    scalar = [key for key in keys if any(isinstance(value.get(key), (str, int)) for value in objects)]
    identity = names.first_of(names.IDS, scalar)
    reference = _reference([key for key in keys if key != identity], objects)
    recording = names.first_of(names.RECORDINGS, [key for key in scalar if key != identity])
    return replace(
        mapping,
        id=_path(identity),
        reference=_path(reference),
        recording=_path(recording),
    )


def _path(key: str | None) -> Steps | None:
    return None if key is None else (Step("key", key),)


def _reference(keys: list[str], objects: list[dict[str, Any]]) -> str | None:
    """The field of the reference.

    Raises:
        InputError: two fields could be it and differ.
    """
    texts = [key for key in keys if any(_is_one_text(value.get(key)) for value in objects)]
    found = [key for name in names.REFERENCES for key in texts if names.squashed(key) == name]
    sure = [key for key in found if names.squashed(key) in names.SURE_REFERENCES]
    rivals = [key for key in sure[1:] if any(value.get(key) != value.get(sure[0]) for value in objects)]
    if rivals:
        message = f"{sure[0]} and {rivals[0]} could both be the reference and differ: say which with `mapping=`"
        raise InputError(message, field=rivals[0])
    return next(iter(found), None)


def _is_one_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and len(value) == 1 and isinstance(value[0], str))


def _wide(objects: list[dict[str, Any]]) -> Mapping | None:
    """Hypotheses under numbered names: ``hyp1``, ``hyp2``, … with ``score1``, ``score2``, … beside them."""
    groups: dict[str, list[str]] = {}
    for key in _keys(objects):
        if match := _NUMBERED.fullmatch(key):
            groups.setdefault(match[1], []).append(key)
    texts = [
        stem
        for stem, keys in groups.items()
        if _known_stem(stem) and all(isinstance(value.get(key, ""), str) for value in objects for key in keys)
    ]
    if not texts or len(groups[texts[0]]) < 2:
        return None
    scores = [stem for stem, keys in groups.items() if stem not in texts and names.is_score(stem) and len(keys) > 1]
    mapping = Mapping(
        text=(Step("numbered", texts[0]),),
        scores=tuple(Score(stem.strip("_- ") or stem, (Step("numbered", stem),)) for stem in scores),
    )
    return _with_fields(mapping, [{k: v for k, v in value.items() if not _NUMBERED.fullmatch(k)} for value in objects])


def _known_stem(stem: str) -> bool:
    return names.squashed(stem) in names.TEXTS or names.squashed(stem) in names.LISTS


def _in_container(sample: list[Any]) -> Mapping | None:
    """Documents that hold their utterances in a list under a known name."""
    if not all(isinstance(value, dict) for value in sample):
        return None
    for name in names.CONTAINERS:
        for key in _keys(sample):
            if names.squashed(key) != name:
                continue
            inner = [entry for value in sample for entry in _listed(value.get(key))]
            mapping = _of_records(inner) or _in_container(inner) if inner else None
            if mapping is not None:
                return replace(mapping, utterances=(Step("key", key), EACH, *mapping.utterances))
            inside = [value[key] for value in sample if isinstance(value.get(key), dict)]
            mapping = _in_container(inside) or _by_id(inside) if inside else None
            if mapping is not None:
                return replace(mapping, utterances=(Step("key", key), *mapping.utterances))
    return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _by_id(sample: list[Any]) -> Mapping | None:
    """Dictionaries by id whose values are lists of hypotheses, or objects with one."""
    if not all(isinstance(value, dict) and value for value in sample):
        return None
    inner = [entry for value in sample for entry in value.values()]
    if not all(isinstance(entry, (dict, list)) for entry in inner):
        return None
    mapping = _of_records(inner)
    return None if mapping is None else replace(mapping, utterances=(VALUES,), id=None)


def infer_rows(sample: list[Any]) -> Mapping | None:
    """The mapping of records that hold one hypothesis each; None where no id comes more than once.

    Raises:
        InputError: it is not clear what a field means.
    """
    objects = [value for value in sample if isinstance(value, dict)]
    if len(objects) < 2 or len(objects) != len(sample):
        return None
    keys = _keys(objects)
    if any(names.squashed(key) in ("start", "seek", "begin", "offset") for key in keys):
        return None  # stretches of one recording, not hypotheses of one utterance
    identity = names.first_of(names.IDS, [k for k in keys if all(isinstance(v.get(k), (str, int)) for v in objects)])
    if identity is None or len({value[identity] for value in objects}) == len(objects):
        return None
    texts = [key for key in keys if key != identity and any(isinstance(value.get(key), str) for value in objects)]
    sure = [key for key in texts if names.squashed(key) not in names.SURE_REFERENCES]
    text = names.first_of(names.TEXTS, sure)
    if text is None:
        return None
    scores = [key for key in keys if names.is_score(key) and any(number_in(v.get(key)) is not None for v in objects)]
    rank = names.first_of(names.RANKS, [key for key in keys if key not in scores])
    mapping = Mapping(
        text=(Step("key", text),),
        scores=tuple(Score(key, (Step("key", key),)) for key in scores if not names.is_error_rate(key)),
        rank=_path(rank),
    )
    return replace(_with_fields(mapping, objects), id=_path(identity))
