"""A prefix tree that grows while it is scored: what a search through a lattice asks of a causal model.

A list of hypotheses is known before it is scored (:mod:`asr_lm.hypotheses.prefix_tree`); a search finds out from the
scores which hypotheses are worth it. The tree answers *log p(token | node)* for nodes it has, and remembers: a prefix
is read once however often the search comes back to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch

from asr_lm.errors import InputError
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.neural import NeuralLanguageModel, RecurrentNetwork, State
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.lm.scoring.causal import CausalModel

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

    def extend(self, nodes: Sequence[int], texts: Sequence[Tokens]) -> tuple[list[int], LogProbs]:
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
    def _log_probs(self, nodes: list[int], tokens: list[int]) -> LogProbs:
        """Log p(token | node) of some pairs, ascending by node ``[n]``."""


def grow(model: LanguageModel) -> GrowingTree:
    """An empty tree of a model.

    Raises:
        InputError: the model is not causal, so it has no use for prefixes.
    """
    if isinstance(model, NgramModel):
        return _NgramTree(model)
    if isinstance(model, NeuralLanguageModel) and isinstance(model.network, RecurrentNetwork):
        return _RecurrentTree(model.network, model.vocabulary.bos_id)
    if isinstance(model, CausalModel):
        return _RereadingTree(model)
    raise InputError(f"a model of family {model.family!r} cannot be asked for one word after another")


class _NgramTree(GrowingTree):
    """KenLM's states."""

    def __init__(self, model: NgramModel) -> None:
        super().__init__()
        self._model = model
        self.memory = model.order - 1
        self._states = {ROOT: model.first_state()}

    def _log_probs(self, nodes: list[int], tokens: list[int]) -> LogProbs:
        values = np.empty(len(nodes))
        for number, (node, token) in enumerate(zip(nodes, tokens, strict=True)):
            values[number], state = self._model.next_state(self._states[node], token)
            self._states[len(self._token) + number] = state
        self.evaluations += len(nodes)
        return values


class _RecurrentTree(GrowingTree):
    """A network's states, made when something is first read after a node."""

    def __init__(self, network: RecurrentNetwork, bos_id: int) -> None:
        super().__init__()
        self._network = network.eval()
        self._token[ROOT] = bos_id
        self._row: dict[int, int] = {}
        self._states: State | None = None

    @torch.inference_mode()
    def _log_probs(self, nodes: list[int], tokens: list[int]) -> LogProbs:
        distinct, rows = np.unique(nodes, return_inverse=True)
        self._read([node for node in distinct.tolist() if node not in self._row])
        device = self._network.device
        assert self._states is not None
        places = torch.tensor([self._row[node] for node in distinct.tolist()], device=device)
        hidden = self._network.hidden(tuple(tensor[:, places] for tensor in self._states))
        asked = torch.tensor(tokens, device=device)
        context = torch.from_numpy(rows.astype(np.int64)).to(device)
        return self._network.output.log_probs(hidden, context, asked).double().cpu().numpy()

    def _read(self, nodes: list[int]) -> None:
        """Make the states of nodes whose parents have theirs."""
        if not nodes:
            return
        device = self._network.device
        before = self._network.initial_state(1) if self._states is None else self._states
        parents = [self._row.get(self._parent[node], 0) for node in nodes]
        gates = self._network.input_gates(torch.tensor([self._token[node] for node in nodes], device=device))
        states = self._network.advance(before, torch.tensor(parents, device=device), gates)
        have = len(self._row)
        self._keep(states, have)
        self._row.update({node: have + number for number, node in enumerate(nodes)})
        self.evaluations += len(nodes)

    def _keep(self, states: State, have: int) -> None:
        """Put new states behind the ``have`` that are there; room is doubled, so that none is copied often."""
        need = have + states[0].shape[1]
        if self._states is None or need > self._states[0].shape[1]:
            room = tuple(tensor.new_empty(len(tensor), 2 * need, *tensor.shape[2:]) for tensor in states)
            for new, old in zip(room, self._states or (), strict=False):
                new[:, :have] = old[:, :have]
            self._states = room
        for kept, new in zip(self._states, states, strict=True):
            kept[:, have:need] = new


class _RereadingTree(GrowingTree):
    """Any causal model: prefixes are read again, as trees of whole prefixes."""

    def __init__(self, model: CausalModel) -> None:
        super().__init__()
        self._model = model

    def _log_probs(self, nodes: list[int], tokens: list[int]) -> LogProbs:
        sentences = [np.append(self.prefix(node), token) for node, token in zip(nodes, tokens, strict=True)]
        values = self._model.token_log_probs([sentence.astype(np.int32) for sentence in sentences])
        self.evaluations += len(set(nodes))
        return np.array([line[len(sentence) - 1] for line, sentence in zip(values, sentences, strict=True)])
