"""ROVER: several recognisers vote on every word.

Fiscus: A post-processing system to yield reduced word error rates: Recognizer Output Voting Error Reduction (ROVER)
(ASRU 1997). The outputs are aligned one after another into a row of slots (the paper's word transition network): the
first output makes the slots, and each further output is aligned to them by dynamic programming. Then every slot takes
the word with the best score::

    score(w) = α N(w) / N + (1 - α) C(w)

with N(w) the systems that say w there, and C(w) their confidence in it: the average or the highest. A system that says
nothing there votes for silence, with a confidence of its own. Votes may have weights, as those of the hypotheses of one
list have, which are its posteriors: then N(w) is the sum of the weights and N that of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from asr_lm.errors import InputError

SILENCE = ""
"""The vote of a system that says nothing in a slot."""

_SUBSTITUTION, _GAP = 4, 3
"""Costs of the alignment, as in NIST's sclite: a substitution is cheaper than a deletion and an insertion."""


@dataclass(frozen=True)
class Word:
    """A word of one system's output, with the system's confidence in it, from 0 to 1."""

    text: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Voting:
    """How votes are counted.

    Attributes:
        frequency: α, the share of the number of votes against the confidence; 1 counts votes alone.
        confidence: whether C(w) is the ``average`` over the systems that say w, or the ``highest``.
        silence: confidence of a system that says nothing.

    Raises:
        InputError: a share that is not from 0 to 1.
    """

    frequency: float = 1.0
    confidence: Literal["average", "highest"] = "average"
    silence: float = 0.5

    def __post_init__(self) -> None:
        for name in ("frequency", "silence"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"expected a share from 0 to 1, not {getattr(self, name)}", field=name)


Slot = list[Word | None]
"""What each system says in one place; None where it says nothing."""


def rover(
    outputs: Sequence[Sequence[Word]], voting: Voting | None = None, weights: Sequence[float] | None = None
) -> list[str]:
    """The words the systems agree on.

    Args:
        outputs: words of each system; the order decides where votes are equal, so the best system goes first.
        voting: how votes are counted; by their number by default.
        weights: of each system's votes ``[systems]``; None counts every vote as one.

    >>> rover([[Word(word) for word in text.split()] for text in ("a bad cat", "the bad hat", "the bed cat")])
    ['the', 'bad', 'cat']
    """
    voting = voting or Voting()
    winners = (elect(slot, voting, weights) for slot in align(outputs))
    return [word for word in winners if word != SILENCE]


def align(outputs: Sequence[Sequence[Word]]) -> list[Slot]:
    """The outputs as a row of slots, each with what every system says there ``[slots][systems]``."""
    slots: list[Slot] = []
    for number, output in enumerate(outputs):
        slots = _added(slots, output, number)
    return slots


def elect(slot: Slot, voting: Voting, weights: Sequence[float] | None = None) -> str:
    """The word with the best score in a slot; of equals, what the earlier system says."""
    weights = weights or [1.0] * len(slot)
    votes: dict[str, list[float]] = {}
    shares: dict[str, float] = {}
    for word, weight in zip(slot, weights, strict=True):
        text, confidence = (SILENCE, voting.silence) if word is None else (word.text, word.confidence)
        votes.setdefault(text, []).append(confidence)
        shares[text] = shares.get(text, 0.0) + weight
    summary = max if voting.confidence == "highest" else np.mean

    def score(text: str) -> float:
        share = shares[text] / sum(weights)
        return voting.frequency * share + (1 - voting.frequency) * float(summary(votes[text]))

    return max(votes, key=lambda text: round(score(text), 12))


def _added(slots: list[Slot], output: Sequence[Word], systems: int) -> list[Slot]:
    """The slots with one more system."""
    aligned: list[Slot] = []
    slot, word = 0, 0
    for step in _steps(slots, output):
        here = slots[slot] if step != "insert" else [None] * systems
        aligned.append([*here, output[word] if step != "pass" else None])
        slot += step != "insert"
        word += step != "pass"
    return aligned


_Step = Literal["stand", "pass", "insert"]


def _steps(slots: list[Slot], output: Sequence[Word]) -> list[_Step]:
    """The cheapest alignment: a word stands in a slot, a slot is passed over, a word gets a new slot."""
    rows, columns = len(slots) + 1, len(output) + 1
    passing = [0 if None in slot else _GAP for slot in slots]
    said = [{word.text for word in slot if word is not None} for slot in slots]
    standing = [[0 if word.text in texts else _SUBSTITUTION for word in output] for texts in said]
    cost = np.zeros((rows, columns), dtype=np.int64)
    cost[1:, 0] = np.cumsum(passing)
    cost[0] = _GAP * np.arange(columns)
    for row in range(1, rows):
        for column in range(1, columns):
            stand = cost[row - 1, column - 1] + standing[row - 1][column - 1]
            passed = cost[row - 1, column] + passing[row - 1]
            cost[row, column] = min(stand, passed, cost[row, column - 1] + _GAP)
    steps: list[_Step] = []
    row, column = rows - 1, columns - 1
    while row or column:
        here = cost[row, column]
        if row and column and here == cost[row - 1, column - 1] + standing[row - 1][column - 1]:
            steps.append("stand")
            row, column = row - 1, column - 1
        elif row and here == cost[row - 1, column] + passing[row - 1]:
            steps.append("pass")
            row -= 1
        else:
            steps.append("insert")
            column -= 1
    return steps[::-1]
