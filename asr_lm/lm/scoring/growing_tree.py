"""A prefix tree that grows while it is scored: what a search through a lattice asks of a causal model.

A list of hypotheses is known before it is scored (:mod:`asr_lm.hypotheses.prefix_tree`); a search finds out from the
scores which hypotheses are worth it. The tree answers *log p(token | node)* for nodes it has, and remembers: a prefix
is read once however often the search comes back to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_lm.text.vocabulary import Tokens

if TYPE_CHECKING:
    from asr_lm.lm.protocol import CausalModel

ROOT = 0
"""The node of ``<s>``."""


class GrowingTree(ABC):
    """Prefixes and what the model says after them.

    Attributes:
        evaluations: how often the model was asked for a distribution: prefixes that something was predicted from.
    """

    memory: int | None = None
    """Tokens that the model remembers; None is all of them."""

    def __init__(self) -> None:
        self._child: dict[tuple[int, int], int] = {}
        self._parent = [-1]
        self._token = [-1]
        self._log_prob = [0.0]
        self.evaluations = 0

    def extend(self, nodes: Sequence[int], texts: Sequence[Tokens]) -> tuple[list[int], NDArray[np.float64]]:
        """Read texts after nodes.

        Args:
            nodes: where each begins ``[n]``.
            texts: tokens of each ``[n]``; an empty one stays where it is.

        Returns:
            The node each leads to, and its log-probability given the node it began at ``[n]``.
        """
        at, totals = list(nodes), np.zeros(len(nodes))
        for position in range(max(map(len, texts), default=0)):
            going = [number for number, text in enumerate(texts) if position < len(text)]
            self._grow([(at[number], int(texts[number][position])) for number in going])
            for number in going:
                at[number] = self._child[at[number], int(texts[number][position])]
                totals[number] += self._log_prob[at[number]]
        return at, totals

    def recent(self, node: int, tokens: int) -> tuple[int, ...]:
        """The last tokens before and at a node; fewer at the beginning."""
        found: list[int] = []
        while node != ROOT and len(found) < tokens:
            found.append(self._token[node])
            node = self._parent[node]
        return tuple(found[::-1])

    def prefix(self, node: int) -> Tokens:
        """All tokens up to a node."""
        return np.array(self.recent(node, len(self._token)), dtype=np.int32)

    def _grow(self, wanted: Sequence[tuple[int, int]]) -> None:
        new = sorted({pair for pair in wanted if pair not in self._child})
        if not new:
            return
        values = self._log_probs([parent for parent, _ in new], [token for _, token in new])
        for (parent, token), value in zip(new, values.tolist(), strict=True):
            self._child[parent, token] = len(self._token)
            self._parent.append(parent)
            self._token.append(token)
            self._log_prob.append(value)

    @abstractmethod
    def _log_probs(self, nodes: list[int], tokens: list[int]) -> NDArray[np.float64]:
        """Log p(token | node) of some pairs, ascending by node ``[n]``."""


class RereadingTree(GrowingTree):
    """Any causal model: prefixes are read again, as trees of whole prefixes."""

    def __init__(self, model: CausalModel) -> None:
        super().__init__()
        self._model = model

    def _log_probs(self, nodes: list[int], tokens: list[int]) -> NDArray[np.float64]:
        sentences = [np.append(self.prefix(node), token) for node, token in zip(nodes, tokens, strict=True)]
        values = self._model.token_log_probs([sentence.astype(np.int32) for sentence in sentences])
        self.evaluations += len(set(nodes))
        return np.array([line[len(sentence) - 1] for line, sentence in zip(values, sentences, strict=True)])
