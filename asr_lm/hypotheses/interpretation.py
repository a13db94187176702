"""What the scores of a list mean, by their names and how they run along the lists; told from the first 200 utterances.

The rest of the package takes scores for natural logarithms of which larger is better, and a list for ranked. So

* a score called cost, loss, penalty, nll or perplexity is turned, and called ``minus_NAME``;
* a score called confidence, probability or posterior that lies between 0 and 1 becomes its logarithm, ``log_NAME``;
* positive scores that grow along nearly every list are costs under another name: the list is refused with the two ways
  out, ``costs`` (turn them) and ``as_given`` (take them as they are);
* where the only score is the recogniser's and grows along nearly every list below 0, or where the first hypothesis has
  the best of it in fewer than half of ten or more lists, the hypotheses are not in its order: they are ranked by it;
* where every score is the same for all hypotheses of nearly every list, the scores say nothing and the rank says it
  all: they are left out, so that the rank is the feature.

Each is said in a notice. "Nearly every" is nine in ten, and never what chance would bring about once in a
hundred times.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from asr_lm.errors import InputError
from asr_lm.hypotheses import field_names as names
from asr_lm.hypotheses.format import Notices
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location

SAMPLE = 200
"""Utterances that are looked at."""

NEARLY = 0.9
CHANCE = 0.01
FEW = 10

_RANKING = ("score", "total", "log", "prob", "likelihood", "confid")


@dataclass(frozen=True)
class _Change:
    """A score's new name, and its new value; None where it has none."""

    name: str
    value: Callable[[float], float | None]


@dataclass(frozen=True)
class Interpretation:
    """What is done to every utterance. It can be pickled."""

    changes: dict[str, _Change] = field(default_factory=dict)
    rank_by: str | None = None
    without_scores: bool = False

    def apply(self, utterance: Utterance, place: Location) -> Utterance:
        """The utterance as the rest of the package takes it."""
        hypotheses = utterance.hypotheses
        if self.changes or self.without_scores:
            hypotheses = tuple(self._changed(each, utterance.id, place) for each in hypotheses)
        if self.rank_by is not None:
            by = self.rank_by
            hypotheses = tuple(sorted(hypotheses, key=lambda each: -each.scores.get(by, -math.inf)))
        if hypotheses is utterance.hypotheses:
            return utterance
        return Utterance(utterance.id, hypotheses, utterance.reference, utterance.recording)

    def _changed(self, hypothesis: Hypothesis, identity: str, place: Location) -> Hypothesis:
        scores = {}
        for name, value in hypothesis.scores.items() if not self.without_scores else ():
            change = self.changes.get(name)
            new = value if change is None else change.value(value)
            if new is None:
                raise place.error(f"{value} is no probability above 0, as the first {SAMPLE} lists are", identity, name)
            scores[name if change is None else change.name] = new
        return Hypothesis(hypothesis.text, scores, hypothesis.total, hypothesis.times, hypothesis.corrected)


def interpreted(
    located: Located, notices: Notices, *, costs: Sequence[str] = (), as_given: bool = False, known: bool = False
) -> Iterator[tuple[Location, Utterance]]:
    """The utterances with scores as the rest of the package takes them.

    Args:
        located: utterances as the file has them.
        notices: what was changed is said here.
        costs: names of scores of which smaller is better.
        as_given: nothing is changed but the ``costs``.
        known: the format knows what its scores mean; only whether they say anything is looked at.

    Raises:
        InputError: scores look like costs, or a name in ``costs`` is none of the list's.
    """
    head = list(itertools.islice(located, SAMPLE))
    plan = interpretation(head, notices, costs, as_given, known) if head else Interpretation()
    for place, utterance in itertools.chain(head, located):
        yield place, plan.apply(utterance, place)


def interpretation(
    head: Sequence[tuple[Location, Utterance]],
    notices: Notices,
    costs: Sequence[str] = (),
    as_given: bool = False,
    known: bool = False,
) -> Interpretation:
    """What the beginning of a list (at least one utterance, :data:`SAMPLE` at most) says of all of it.

    Args and errors: as those of :func:`interpreted`.
    """
    place, first = head[0]
    columns = _columns(utterance for _, utterance in head)
    for name in costs:
        if name not in columns:
            message = f"there is no score {name!r} in the list, its scores are {', '.join(columns) or 'none'}"
            raise InputError(message, file=place.file, parameter="costs")
    if not as_given and columns and all(map(_is_constant, columns.values())):
        notices.say(f"{', '.join(columns)}: the same for all hypotheses of a list, so only their ranks are used")
        return Interpretation(without_scores=True)
    changes = {name: _turned(name) for name in costs}
    if as_given or known:
        return Interpretation(changes)
    for name, lists in columns.items():
        if name not in changes and (change := _change(name, lists, notices)):
            changes[name] = change
        elif name not in changes and _grow(lists) and _all(lists, lambda value: value > 0):
            raise place.error(_like_costs(name), first.id, name)
    for name in costs:
        notices.say(f"{name}: smaller is better, read as {changes[name].name} with the sign turned")
    return Interpretation(changes, _ranking(columns, notices) if not changes else None)


def _columns(utterances: Iterable[Utterance]) -> dict[str, list[list[float]]]:
    """By score, its values in each list of two hypotheses or more; corrected ones have other scores, and counts are no
    scores."""
    columns: dict[str, list[list[float]]] = {}
    for utterance in utterances:
        own = [each for each in utterance.hypotheses if not each.corrected]
        for name in own[0].scores if own else ():
            if names.is_count(name):
                continue
            columns.setdefault(name, [])
            if len(own) > 1:
                columns[name].append([each.scores[name] for each in own])
    return columns


def _is_constant(lists: list[list[float]]) -> bool:
    same = sum(min(values) == max(values) for values in lists)
    return bool(lists) and same >= NEARLY * len(lists)


def _grow(lists: list[list[float]]) -> bool:
    """Whether the values grow along nearly every list, and not by chance."""
    told = [values for values in lists if min(values) < max(values)]
    growing = [values for values in told if all(one <= other for one, other in itertools.pairwise(values))]
    chance = sum(math.lgamma(len(values) + 1) for values in growing)
    return bool(told) and len(growing) >= NEARLY * len(told) and chance > -math.log(CHANCE)


def _all(lists: list[list[float]], holds: Callable[[float], bool]) -> bool:
    return bool(lists) and all(holds(value) for values in lists for value in values)


def _turned(name: str) -> _Change:
    return _Change(f"minus_{name}", _negated)


def _negated(value: float) -> float:
    return 0.0 - value


def _logarithm(value: float) -> float | None:
    return math.log(value) if 0 < value <= 1 else None


def _change(name: str, lists: list[list[float]], notices: Notices) -> _Change | None:
    """What a score's name asks for, where its values agree."""
    if names.is_cost(name) and _all(lists, lambda value: value >= 0):
        notices.say(f"{name}: a cost by its name, read as minus_{name} with the sign turned")
        return _turned(name)
    if names.is_probability(name) and _all(lists, lambda value: 0 < value <= 1):
        notices.say(f"{name}: a probability by its name and values, read as its logarithm log_{name}")
        return _Change(f"log_{name}", _logarithm)
    return None


def _like_costs(name: str) -> str:
    return (
        f"{name} grows from the first hypothesis to the last in nearly every list, as costs do: if smaller is better "
        f"turn the sign with `costs={name}`, if not take the list as it is with `as_given=True`"
    )


def _ranking(columns: dict[str, list[list[float]]], notices: Notices) -> str | None:
    """The score that the hypotheses are to be ranked by, where they are not and it is the recogniser's only one."""
    if len(columns) != 1:
        return None
    ((name, lists),) = columns.items()
    if not any(part in names.spelled(name) for part in _RANKING):
        return None
    first = sum(values[0] == max(values) for values in lists)
    if not _grow(lists) and not (len(lists) >= FEW and first < len(lists) / 2):
        return None
    notices.say(
        f"the hypotheses are not in the order of their {name}: they are ranked by it (`as_given=True` keeps them)"
    )
    return name
