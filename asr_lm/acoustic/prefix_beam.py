"""The hypotheses of a beam search as rows of arrays, those of several utterances together, and which of them stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.acoustic.lexicon_tree import Numbers, Scores

NEVER = -np.inf
LEAST = np.finfo(np.float64).min
"""Below every score but that of what cannot be."""

_UTTERANCE, _HISTORY, _NODE, _TOKEN, _KEY, _COMPLETED, _SOURCE = range(7)
_BLANK, _OTHER, _GAIN = range(3)


@dataclass(frozen=True)
class Beam:
    """Hypotheses: words, and the beginning of one; each with the scores of what it has said last.

    Attributes:
        numbers: ``[6 + sources, rows]``: utterance, history of words, node of the lexicon's tree, last token, key
            (history and node as one number), history once the word of this node is complete (-1: not yet asked), and
            keys of the hypotheses that this one continues (-1: none).
        scores: ``[2 + sources, rows]``: of the alignments that end in a blank, of those that end in the last token, and
            what is added when this hypothesis continues each of its sources.
    """

    numbers: Numbers
    scores: Scores

    @classmethod
    def start(cls, utterances: int, nodes: int, token: int, sources: int) -> Beam:
        """Nothing said yet; the history of each utterance has its number."""
        numbers = np.full((_SOURCE + sources, utterances), -1)
        numbers[_UTTERANCE] = numbers[_HISTORY] = np.arange(utterances)
        numbers[_NODE], numbers[_TOKEN] = 0, token
        numbers[_KEY] = numbers[_HISTORY] * nodes
        scores = np.full((_GAIN + sources, utterances), NEVER)
        scores[_BLANK] = 0.0
        return cls(numbers, scores)

    @classmethod
    def of(
        cls,
        utterance: Numbers,
        history: Numbers,
        node: Numbers,
        token: Numbers,
        key: Numbers,
        source: Numbers,
        score: Scores,
        gain: Scores,
        sources: int,
    ) -> Beam:
        """New hypotheses, which end in their token and continue one source."""
        numbers = np.full((_SOURCE + sources, len(key)), -1)
        numbers[_UTTERANCE], numbers[_HISTORY], numbers[_NODE] = utterance, history, node
        numbers[_TOKEN], numbers[_KEY], numbers[_SOURCE] = token, key, source
        scores = np.full((_GAIN + sources, len(key)), NEVER)
        scores[_OTHER], scores[_GAIN] = score, gain
        return cls(numbers, scores)

    def __len__(self) -> int:
        return self.numbers.shape[1]

    @property
    def utterance(self) -> Numbers:
        return self.numbers[_UTTERANCE]

    @property
    def history(self) -> Numbers:
        return self.numbers[_HISTORY]

    @property
    def node(self) -> Numbers:
        return self.numbers[_NODE]

    @property
    def token(self) -> Numbers:
        return self.numbers[_TOKEN]

    @property
    def key(self) -> Numbers:
        return self.numbers[_KEY]

    @property
    def completed(self) -> Numbers:
        return self.numbers[_COMPLETED]

    @property
    def sources(self) -> Numbers:
        return self.numbers[_SOURCE:]

    @property
    def blank(self) -> Scores:
        return self.scores[_BLANK]

    @property
    def other(self) -> Scores:
        return self.scores[_OTHER]

    @property
    def gains(self) -> Scores:
        return self.scores[_GAIN:]

    def rows(self, chosen: Numbers) -> Beam:
        """Some of the hypotheses."""
        return Beam(self.numbers.take(chosen, axis=1), self.scores.take(chosen, axis=1))

    def later(self, blank: Scores, other: Scores, stay: NDArray[np.bool_]) -> Beam:
        """The hypotheses a frame later that stay for either of their scores; ``stay`` is ``[2 rows]``."""
        stays = stay.reshape(2, -1)
        rows = (stays[0] | stays[1]).nonzero()[0]
        later = self.rows(rows)
        later.scores[_BLANK] = np.where(stays[0], blank, NEVER).take(rows)
        later.scores[_OTHER] = np.where(stays[1], other, NEVER).take(rows)
        return later


def concatenated(one: Beam, other: Beam) -> Beam:
    """Hypotheses after others."""
    if not len(other):
        return one
    numbers, scores = (one.numbers, other.numbers), (one.scores, other.scores)
    return Beam(np.concatenate(numbers, axis=1), np.concatenate(scores, axis=1))


class KeyIndex:
    """Finds the rows that keys are in."""

    def __init__(self, keys: Numbers) -> None:
        # Numbers sort faster than their order is found: a key and its row are sorted as one.
        bits = max(1, len(keys).bit_length())
        packed = np.sort((keys << bits) | np.arange(len(keys)))
        self._keys, self._rows = packed >> bits, packed & ((1 << bits) - 1)

    def find(self, keys: Numbers) -> tuple[Numbers, Numbers]:
        """Which keys are there, and in which row each of these is."""
        places = self._keys.searchsorted(keys)
        places[places == len(self._keys)] = 0
        found = (self._keys.take(places) == keys).nonzero()[0]
        return found, self._rows.take(places.take(found))

    def lacks(self, keys: Numbers) -> NDArray[np.bool_]:
        """Whether each key is not there."""
        places = self._keys.searchsorted(keys)
        places[places == len(self._keys)] = 0
        return self._keys.take(places) != keys


def least_scores(scores: Scores, utterance: Numbers, utterances: int, beam: int, threshold: float) -> Scores:
    """The least score that may stay in the beam of each utterance ``[utterances]``.

    Args:
        scores: of candidates ``[n]``.
        utterance: of each ``[n]``.
        utterances: how many there are.
        beam: candidates that stay, at most.
        threshold: how much worse than the best one they may be.
    """
    if not len(scores):
        return np.full(utterances, LEAST)
    table = scores[None] if utterances == 1 else _by_utterance(scores, utterance, utterances)
    least = table.max(axis=1) - threshold
    if table.shape[1] > beam:
        place = table.shape[1] - beam
        np.maximum(least, np.partition(table, place, axis=1)[:, place], out=least)
    return np.maximum(least, LEAST)


def staying(scores: Scores, utterance: Numbers, utterances: int, beam: int, threshold: float) -> NDArray[np.bool_]:
    """Which candidates stay in the beam ``[n]``; of equal ones at its edge the first."""
    least = least_scores(scores, utterance, utterances, beam, threshold)
    stay = scores >= (least[0] if utterances == 1 else least.take(utterance))
    count = np.bincount(utterance[stay], minlength=utterances) if utterances > 1 else np.array([stay.sum()])
    for crowded in np.flatnonzero(count > beam):
        equal = np.flatnonzero((utterance == crowded) & (scores == least[crowded]))
        stay[equal[len(equal) - (count[crowded] - beam) :]] = False
    return stay


def _by_utterance(scores: Scores, utterance: Numbers, utterances: int) -> Scores:
    """Scores with a line for each utterance, filled up with what cannot be."""
    count = np.bincount(utterance, minlength=utterances)
    order = np.argsort(utterance.astype(np.uint16), kind="stable")
    line = utterance[order]
    table = np.full((utterances, int(count.max())), NEVER)
    table[line, np.arange(len(line)) - (np.cumsum(count) - count)[line]] = scores[order]
    return table
