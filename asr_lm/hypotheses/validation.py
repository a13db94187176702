"""What every n-best list must satisfy, whatever file it came from and whatever file it goes to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.hypotheses.known_ids import KnownIds
from asr_lm.hypotheses.utterance import Hypothesis, Utterance, timed_words

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Location(NamedTuple):
    """Where a record stands.

    Attributes:
        file: the file as messages call it.
        line: line of the record's first character, from 1.
        element: position of the record in a JSON array, from 0.
    """

    file: str
    line: int | None = None
    element: int | None = None

    def error(self, message: str, utterance: str | None = None, field: str | None = None) -> InputError:
        """An error at this place."""
        if self.element is not None:
            field = f"[{self.element}]" + (f".{field}" if field else "")
        return InputError(message, file=self.file, line=self.line, utterance=utterance, field=field)


Located = Iterator[tuple[Location, Utterance]]
"""What a format's adapter gives: utterances with the place to blame."""


def decimal(text: str) -> float | None:
    """The number that ``text`` writes in decimal, None where it writes none or one beyond the range of floats."""
    if _DECIMAL.fullmatch(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def not_decimal(text: str) -> str:
    """What to say of a score that :func:`decimal` cannot read."""
    return f"score {text!r} is not usable, expected a finite decimal number"


class Consistency:
    """The laws of a whole list, checked utterance by utterance; keeps hashes of the ids and nothing else.

    An id is there and unique; an utterance has hypotheses; every hypothesis of the list has scores of the same names
    (or none at all), corrected ones theirs, and each score is a finite number; word times, where given, are one
    interval a word, confidences one a word. Not all hypotheses of an utterance are corrected ones.

    Args:
        unique: the ids are known to be, and are not kept.
        names: of the scores; None takes those of the first hypothesis.
    """

    def __init__(self, *, unique: bool = False, names: Set[str] | None = None) -> None:
        self._ids = None if unique else KnownIds()
        self._names: dict[bool, Set[str]] = {} if names is None else {False: names}

    def check(self, utterance: Utterance, place: Location) -> None:
        """Check the next utterance of the list.

        Raises:
            InputError: a law is broken.
        """
        if not utterance.id.strip():
            raise place.error("empty, expected an id that is unique in the file", field="id")
        first = None if self._ids is None else self._ids.add(utterance.id, place.line)
        if first is not None:
            where = f" in line {first}" if first else ""
            raise place.error(f"this id was used before{where}, expected unique ids", utterance.id, "id")
        if not utterance.hypotheses:
            raise place.error(
                "no hypotheses, expected at least one (its text may be empty)", utterance.id, "hypotheses"
            )
        self._check_hypotheses(utterance, place)

    def _check_hypotheses(self, utterance: Utterance, place: Location) -> None:
        if all(hypothesis.corrected for hypothesis in utterance.hypotheses):
            message = "all hypotheses are corrected ones, expected at least one of the recogniser"
            raise place.error(message, utterance.id, "hypotheses")
        for rank, hypothesis in enumerate(utterance.hypotheses):
            scores = hypothesis.scores
            names = self._names.get(hypothesis.corrected)
            if names is None:
                names = self._names[hypothesis.corrected] = frozenset(scores)
            if scores.keys() != names:
                raise place.error(_mixed_names(scores, names), utterance.id, f"hypotheses[{rank}].scores")
            # The sum of finite scores is finite, short of an overflow: one test instead of one a score.
            if not math.isfinite(sum(scores.values()) + (hypothesis.total or 0.0)):
                _check_finite(hypothesis, rank, utterance.id, place)
            if hypothesis.times is not None:
                _check_times(hypothesis, rank, utterance.id, place)
            if hypothesis.confidences is not None:
                _check_confidences(hypothesis, rank, utterance.id, place)


def _mixed_names(found: Iterable[str], expected: Iterable[str]) -> str:
    return (
        f"score names are {_listed(found)}, but the file's first hypothesis has {_listed(expected)}; "
        "expected the same names everywhere"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _check_finite(hypothesis: Hypothesis, rank: int, utterance: str, place: Location) -> None:
    values = {f"scores.{name}": value for name, value in hypothesis.scores.items()}
    if hypothesis.total is not None:
        values["total"] = hypothesis.total
    for field, value in values.items():
        if not math.isfinite(value):
            raise place.error(f"{value} is not a finite number", utterance, f"hypotheses[{rank}].{field}")


def _check_times(hypothesis: Hypothesis, rank: int, utterance: str, place: Location) -> None:
    times, words = hypothesis.times or (), timed_words(hypothesis)
    field = f"hypotheses[{rank}].times"
    if len(times) != len(words):
        raise place.error(
            f"{counted(len(times), 'interval')} for {counted(len(words), 'word')}, expected one a word",
            utterance,
            field,
        )
    for position, (start, end) in enumerate(times):
        if not 0 <= start <= end < math.inf:
            message = f"({start}, {end}) is no interval, expected 0 <= start <= end in seconds"
            raise place.error(message, utterance, f"{field}[{position}]")


def _check_confidences(hypothesis: Hypothesis, rank: int, utterance: str, place: Location) -> None:
    found, words = hypothesis.confidences or (), hypothesis.text.split()
    field = f"hypotheses[{rank}].confidences"
    if len(found) not in (len(words), len("".join(words))):
        raise place.error(
            f"{counted(len(found), 'value')} for {counted(len(words), 'word')}, expected one a word", utterance, field
        )
    for position, value in enumerate(found):
        if not 0 <= value <= 1:
            message = f"{value} is no confidence, expected a number from 0 to 1"
            raise place.error(message, utterance, f"{field}[{position}]")
