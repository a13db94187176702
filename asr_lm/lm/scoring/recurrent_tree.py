"""A prefix tree that grows with the states of a recurrent network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from asr_lm.lm.scoring.growing_tree import ROOT, GrowingTree

if TYPE_CHECKING:
    from asr_lm.lm.neural import RecurrentNetwork, State


class RecurrentTree(GrowingTree):
    """A network's states, made when something is first read after a node."""

    def __init__(self, network: RecurrentNetwork, bos_id: int) -> None:
        super().__init__()
        self._network = network.eval()
        self._token[ROOT] = bos_id
        self._row: dict[int, int] = {}
        self._states: State | None = None

    @torch.inference_mode()
    def _log_probs(self, nodes: list[int], tokens: list[int]) -> NDArray[np.float64]:
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
