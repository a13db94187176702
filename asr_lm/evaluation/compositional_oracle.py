"""The compositional oracle: the best text that the words of a list can be put together to.

The hypotheses of a list are aligned to the first of them into a confusion network: a slot for each of its units, and
slots between them for what others say there. A path takes one unit, or nothing, from every slot, so that it may follow
one hypothesis here and another one there. The path with the fewest errors against the reference bounds what any choice
of words from the list can reach, as the oracle bounds the choice among whole hypotheses; what a corrector wins beyond
it, it wrote itself. Chen et al. (HyPoradise, NeurIPS 2023) report a bound of this kind beside that of the n-best list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.word_errors import Unit
from asr_lm.text.normalizer import get_normalizer

NOTHING = ""
"""What a path takes from a slot where it says nothing there."""

Slot = set[str]
"""The units that compete for a place, :data:`NOTHING` among them where a hypothesis says nothing there."""

Costs = NDArray[np.int64]


def compositional_oracle(
    hypotheses: Sequence[str], reference: str, unit: Unit = "word", normalizer: str = "as-is"
) -> str:
    """The best text that the units of a list can be put together to.

    Args:
        hypotheses: at least one text; the slots follow the first.
        reference: what was said.
        unit: what an error is counted in.
        normalizer: name of the normaliser that all texts go through first.

    >>> compositional_oracle(["the fairy is late", "a ferry is late"], "the ferry is late")
    'the ferry is late'
    """
    normalize, counted = get_normalizer(normalizer), metric(unit)
    said = counted.tokens(normalize(reference))
    heard = [counted.tokens(text) for text in dict.fromkeys(map(normalize, hypotheses))]
    return counted.separator.join(said if said in heard else closest_path(network(heard), said))


def network(hypotheses: Iterable[Sequence[str]]) -> list[Slot]:
    """The confusion network of a list, each of whose hypotheses is a path through it.

    Args:
        hypotheses: units of each hypothesis, at least one; the slots follow the first.

    >>> [sorted(slot) for slot in network([["a", "ferry", "is", "late"], ["the", "fairy", "late"]])]
    [['a', 'the'], ['fairy', 'ferry'], ['', 'is'], ['late']]
    """
    lists = iter(hypotheses)
    first = list(next(lists))
    said: list[Slot] = [{unit} for unit in first]
    between: list[list[Slot]] = [[] for _ in range(len(first) + 1)]
    for other in lists:
        _add(first, other, said, between)
    slots = between[0]
    for slot, after in zip(said, between[1:], strict=True):
        slots = [*slots, slot, *after]
    return slots


def closest_path(slots: Sequence[Slot], reference: Sequence[str]) -> list[str]:
    """The units of a path with the fewest errors against a reference.

    ``cost[s, j]`` is the least number of errors of a path through the first ``s`` slots against the first ``j`` units
    of the reference.

    >>> closest_path([{"a", "the"}, {"fairy", "ferry"}, {"", "is"}, {"late"}], "the ferry was late".split())
    ['the', 'ferry', 'is', 'late']
    """
    cost = _costs(slots, reference)
    path: list[str] = []
    slot, place = len(slots), len(reference)
    while slot or place:
        step = _taken(slots[slot - 1], reference, cost[slot - 1], place, cost[slot, place]) if slot else None
        if step is None:
            place -= 1
            continue
        unit, stands = step
        path.append(unit)
        slot, place = slot - 1, place - stands
    return [unit for unit in reversed(path) if unit != NOTHING]


def _add(first: Sequence[str], other: Sequence[str], said: list[Slot], between: list[list[Slot]]) -> None:
    """Add a hypothesis to the slots, aligned to the first with the fewest changes."""
    inserted: dict[int, int] = {}
    for step in Levenshtein.editops(first, other):
        operation, place, position = step.tag, step.src_pos, step.dest_pos
        if operation == "replace":
            said[place].add(other[position])
        elif operation == "delete":
            said[place].add(NOTHING)
        else:
            number = inserted.get(place, 0)
            inserted[place] = number + 1
            if number == len(between[place]):
                # Hypotheses seen before said nothing here, the first one among them.
                between[place].append({NOTHING})
            between[place][number].add(other[position])


def _costs(slots: Sequence[Slot], reference: Sequence[str]) -> Costs:
    """``cost`` as in :func:`closest_path` ``[slots + 1, units + 1]``."""
    ahead = np.arange(len(reference) + 1)
    cost = np.empty((len(slots) + 1, len(reference) + 1), dtype=np.int64)
    cost[0] = ahead
    for number, slot in enumerate(slots):
        before, after = cost[number], cost[number + 1]
        after[:] = before + (NOTHING not in slot)
        missed = np.fromiter((unit not in slot for unit in reference), np.int64, len(reference))
        after[1:] = np.minimum(after[1:], before[:-1] + missed)
        # A unit of the reference that is left out costs one, so the best is the least cost ahead of a slope of one.
        after[:] = np.minimum.accumulate(after - ahead) + ahead
    return cost


def _taken(slot: Slot, reference: Sequence[str], before: Costs, place: int, here: int) -> tuple[str, bool] | None:
    """What the best path takes from a slot, and whether that stands for the unit of the reference before ``place``.

    None where that unit was left out after the slot.
    """
    said = min(slot - {NOTHING})
    if place and reference[place - 1] in slot and before[place - 1] == here:
        return reference[place - 1], True
    if place and before[place - 1] + 1 == here:
        return said, True
    if NOTHING in slot and before[place] == here:
        return NOTHING, False
    return (said, False) if before[place] + 1 == here else None
