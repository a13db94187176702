"""The histories of a search: the words of a hypothesis so far, each history the one before it and a word."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np

from asr_lm.acoustic.lexicon_tree import Numbers, Scores

_FIRST_SIZE = 1 << 12


class LabelModel(Protocol):
    """A language model of labels, which stand for words or tokens."""

    def first_state(self) -> Hashable:
        """The state before the first label."""

    def extend(self, states: Sequence[Hashable], labels: Sequence[int]) -> tuple[Sequence[float], Sequence[Hashable]]:
        """The scores of labels after states, and the states then."""

    def end(self, state: Hashable) -> float:
        """The score of the end after a state."""


class NoModel:
    """A language model that says nothing."""

    def first_state(self) -> Hashable:
        return None

    def extend(self, states: Sequence[Hashable], labels: Sequence[int]) -> tuple[Sequence[float], Sequence[Hashable]]:
        return [0.0] * len(states), states

    def end(self, state: Hashable) -> float:
        return 0.0


class WordHistories:
    """A tree of histories that grows; equal words are one history. The first ones are empty, one an utterance.

    Attributes:
        parent: the history without its last label ``[histories or more]``.
        label: the last label ``[histories or more]``.
        lm: score of the last label after the history before it ``[histories or more]``.
    """

    def __init__(self, utterances: int, labels: int, model: LabelModel) -> None:
        self._labels, self._model = labels, model
        self._numbers: dict[int, int] = {}
        self._states: list[Hashable] = [model.first_state()] * utterances
        self.parent: Numbers = np.full(_FIRST_SIZE + utterances, -1)
        self.label: Numbers = np.full(_FIRST_SIZE + utterances, -1)
        self.lm: Scores = np.zeros(_FIRST_SIZE + utterances)

    def __len__(self) -> int:
        return len(self._states)

    def extended(self, histories: Numbers, labels: Numbers) -> Numbers:
        """The histories with a label after each ``[n]``."""
        keys = (histories * self._labels + labels).tolist()
        found = [*map(self._numbers.get, keys)]
        if None in found:
            self._add([key for key, number in zip(keys, found, strict=True) if number is None])
            found = [*map(self._numbers.get, keys)]
        return np.array(found, dtype=np.int64)

    def _add(self, keys: list[int]) -> None:
        new = np.array([*dict.fromkeys(keys)], dtype=np.int64)
        begin, end = len(self), len(self) + len(new)
        while end > len(self.lm):
            self.parent, self.label = np.tile(self.parent, 2), np.tile(self.label, 2)
            self.lm = np.tile(self.lm, 2)
        parents, labels = np.divmod(new, self._labels)
        self.parent[begin:end], self.label[begin:end] = parents, labels
        scores, states = self._model.extend([self._states[each] for each in parents.tolist()], labels.tolist())
        self.lm[begin:end] = scores
        self._states += states
        self._numbers.update(zip(new.tolist(), range(begin, end), strict=True))

    def ends(self, histories: Numbers) -> Scores:
        """The score of the end after each history ``[n]``."""
        return np.array([self._model.end(self._states[each]) for each in histories.tolist()], dtype=np.float64)

    def labels(self, history: int) -> list[int]:
        """The labels of a history, the first one first."""
        labels = []
        while (label := int(self.label[history])) >= 0:
            labels.append(label)
            history = int(self.parent[history])
        return labels[::-1]
