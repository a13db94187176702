"""A prefix tree that grows with the states of an n-gram model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.scoring.growing_tree import ROOT, GrowingTree

if TYPE_CHECKING:
    from asr_lm.lm.families.ngram import NgramModel


class NgramTree(GrowingTree):
    """The states of an n-gram model."""

    def __init__(self, model: NgramModel) -> None:
        super().__init__()
        self._model = model
        self.memory = model.order - 1
        self._states = {ROOT: model.first_state()}

    def _log_probs(self, nodes: list[int], tokens: list[int]) -> NDArray[np.float64]:
        values, states = self._model.next_states([self._states[node] for node in nodes], tokens)
        self._states.update(enumerate(states, len(self._token)))
        self.evaluations += len(nodes)
        return values
