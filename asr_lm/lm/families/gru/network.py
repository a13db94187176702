"""Gated recurrent unit (GRU) language model.

Cho, van Merriënboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio: Learning Phrase Representations using RNN
Encoder-Decoder for Statistical Machine Translation (EMNLP 2014), section 2.3: a unit whose gates decide how much of
the old state is read (reset, r) and how much of it is kept (update, z). Biases are left out below, as they are there;
``⊙`` is the product of elements, ``x_t`` the embedding of the token read::

    r_t = σ(W_r x_t + U_r h_{t-1})                      (5)
    z_t = σ(W_z x_t + U_z h_{t-1})                      (6)
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t               (7)
    h̃_t = tanh(W x_t + U (r_t ⊙ h_{t-1}))               (8)

Difference: ``torch.nn.GRU`` resets after the product with U, ``r_t ⊙ (U h_{t-1} + b)``, not before it, so that one
product serves all three.

Options: more than one layer; dropout on the non-recurrent connections only (Zaremba, Sutskever, Vinyals 2014, equations
7 to 9); output weights tied to the embedding (Press and Wolf 2017; Inan et al. 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.gru import GruConfig
from asr_lm.lm.neural import RecurrentNetwork, State
from asr_lm.lm.output.layer import make_output
from asr_lm.lm.scoring.matrix_product import linear


class GruNetwork(RecurrentNetwork):
    """The network; the state is (h,), ``[layers, batch, hidden]``."""

    def __init__(self, config: GruConfig) -> None:
        super().__init__()
        self.config: GruConfig = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding)
        between = config.dropout if config.layers > 1 else 0.0
        self.gru = nn.GRU(config.embedding, config.hidden, config.layers, batch_first=True, dropout=between)
        self.dropout = Dropout(config.dropout)
        self._initialise()
        self.output = make_output(config, config.hidden, tied=self.embedding if config.tied else None)

    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        for name, parameter in self.gru.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        hidden, h = self.gru(self.dropout(self.embedding(inputs)), None if state is None else state[0])
        return self.dropout(hidden), (h,)

    def initial_state(self, batch: int) -> State:
        return (torch.zeros(self.config.layers, batch, self.config.hidden, device=self.device),)

    def input_gates(self, tokens: Tensor) -> Tensor:
        return self._read(self.embedding(tokens), "ih", 0)

    def advance(self, state: State, parents: Tensor, gates: Tensor) -> State:
        states: list[Tensor] = []
        for layer, old in enumerate(state[0]):
            if layer:
                gates = self._read(states[-1], "ih", layer)
            h = old[parents]
            states.append(_unit(gates, self._read(h, "hh", layer), h))
        return (torch.stack(states),)

    def hidden(self, state: State) -> Tensor:
        return state[0][-1]

    def _read(self, values: Tensor, kind: str, layer: int) -> Tensor:
        """W x + b (``ih``) or U h + b (``hh``) of the reset gate, the update gate and the candidate
        ``[n, 3 · hidden]``."""
        return linear(values, getattr(self.gru, f"weight_{kind}_l{layer}"), getattr(self.gru, f"bias_{kind}_l{layer}"))


def _unit(read: Tensor, remembered: Tensor, h: Tensor) -> Tensor:
    """The new state ``[n, hidden]``; all arguments are overwritten.

    Args:
        read: what the input adds to r, z and the candidate ``[n, 3 · hidden]``.
        remembered: what the old state adds to them.
        h: the old state ``[n, hidden]``.
    """
    (x_r, x_z, x_h), (h_r, h_z, h_h) = read.chunk(3, dim=1), remembered.chunk(3, dim=1)
    r = x_r.add_(h_r).sigmoid_()  # equation 5
    z = x_z.add_(h_z).sigmoid_()  # equation 6
    candidate = x_h.addcmul_(r, h_h).tanh_()  # equation 8
    return candidate.lerp(h, z)  # equation 7
