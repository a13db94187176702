"""A prefix tree that grows with the states of an n-gram model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.scoring.growing_tree import ROOT, GrowingTree

if TYPE_CHECKING:
    from asr_lm.lm.families.ngram import NgramModel


class NgramTree(GrowingTree):
    """KenLM's states."""

    def __init__(self, model: NgramModel) -> None:
        super().__init__()
        self._model = model
        self.memory = model.order - 1
        self._states = {ROOT: model.first_state()}

    def _log_probs(self, nodes: list[int], tokens: list[int]) -> NDArray[np.float64]:
        values = np.empty(len(nodes))
        for number, (node, token) in enumerate(zip(nodes, tokens, strict=True)):
            values[number], state = self._model.next_state(self._states[node], token)
            self._states[len(self._token) + number] = state
        self.evaluations += len(nodes)
        return values
