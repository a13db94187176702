"""LSTM recurrent neural network language model.

Sundermeyer, Schlüter, Ney: LSTM Neural Networks for Language Modeling (Interspeech 2012): a projection (embedding)
layer, one or more LSTM layers, a softmax over the vocabulary. The cell is that of Hochreiter and Schmidhuber (1997)
with the forget gate of Gers et al. (2000), without peepholes::

    i, f, o = σ(W x_t + U h_{t-1} + b)      g = tanh(W x_t + U h_{t-1} + b)
    c_t = f ⊙ c_{t-1} + i ⊙ g               h_t = o ⊙ tanh(c_t)

Options: dropout on the non-recurrent connections only (Zaremba, Sutskever, Vinyals 2014, equations 7 to 9), of the same
units at all time steps (Gal and Ghahramani 2016); dropout of the recurrent weights U themselves (DropConnect: Merity,
Keskar, Socher 2018, section 2), one draw for all time steps of a batch; and output weights tied to the embedding (Press
and Wolf 2017; Inan et al. 2017).
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.neural import RecurrentNetwork, State
from asr_lm.lm.output.layer import make_output
from asr_lm.lm.precision import has_bfloat16_lstm
from asr_lm.lm.scoring.matrix_product import linear


class LstmNetwork(RecurrentNetwork):
    """The network; states are (h, c), each ``[layers, batch, hidden]``."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config: LstmConfig = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.hidden, config.layers, batch_first=True)
        self.dropout = Dropout(config.dropout, same_over_time=config.variational)
        self.recurrent_dropout = Dropout(config.recurrent_dropout)
        self._initialise()
        tied = self.embedding if config.tied else None
        self.output = make_output(config, config.hidden, tied=tied)

    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(parameter)
            elif name.startswith("bias_ih"):
                # An open forget gate at the start lets gradients through time (Jozefowicz et al. 2015, section 4).
                nn.init.zeros_(parameter)
                parameter.data[self.config.hidden : 2 * self.config.hidden] = 1.0

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        h, c = self.initial_state(len(inputs)) if state is None else state
        x = self.dropout(self.embedding(inputs))
        states = []
        for layer in range(self.config.layers):
            # Layer by layer, as nn.LSTM's own dropout between layers is slow on a CPU.
            old = h[layer : layer + 1], c[layer : layer + 1]
            x, *new = self._layer(layer, x, old)
            x = self.dropout(x)
            states.append(new)
        return x, (torch.cat([new[0] for new in states]), torch.cat([new[1] for new in states]))

    def _layer(self, layer: int, x: Tensor, old: State) -> tuple[Tensor, Tensor, Tensor]:
        """What a layer makes of ``x``, and its new state; in float32 where the processor knows no LSTM in bfloat16."""
        lacking = x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not has_bfloat16_lstm()
        with torch.autocast("cpu", enabled=False) if lacking else nullcontext():
            return torch.lstm(x, old, self._weights(layer), True, 1, 0.0, self.training, False, True)

    def initial_state(self, batch: int) -> State:
        zeros = torch.zeros(self.config.layers, batch, self.config.hidden, device=self.device)
        return zeros, zeros

    def input_gates(self, tokens: Tensor) -> Tensor:
        return linear(self.embedding(tokens), self._weight("ih", 0), self._bias(0))

    def advance(self, state: State, parents: Tensor, gates: Tensor) -> State:
        hs: list[Tensor] = []
        cs: list[Tensor] = []
        for layer in range(self.config.layers):
            if layer:
                gates = linear(hs[-1], self._weight("ih", layer), self._bias(layer))
            gates = linear(state[0][layer][parents], self._weight("hh", layer)).add_(gates)
            h, c = _cell(gates, state[1][layer][parents])
            hs.append(h)
            cs.append(c)
        if len(hs) == 1:
            return hs[0][None], cs[0][None]
        return torch.stack(hs), torch.stack(cs)

    def hidden(self, state: State) -> Tensor:
        return state[0][-1]

    def _weights(self, layer: int) -> list[Tensor]:
        """The weights of a layer in the order of ``torch.lstm``; in training some between states are dropped."""
        names = (f"{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        read, remember, *biases = (self.lstm.get_parameter(name) for name in names)
        return [read, self.recurrent_dropout(remember), *biases]

    def _weight(self, kind: str, layer: int) -> Tensor:
        weight: Tensor = getattr(self.lstm, f"weight_{kind}_l{layer}")
        return weight

    def _bias(self, layer: int) -> Tensor:
        bias: Tensor = getattr(self.lstm, f"bias_ih_l{layer}") + getattr(self.lstm, f"bias_hh_l{layer}")
        return bias


def _cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """New (h, c) ``[n, hidden]`` from the gates' inputs ``[n, 4 · hidden]`` (order i, f, g, o) and the old cell.

    Both arguments are overwritten.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    c = c.mul_(f.sigmoid_()).addcmul_(i.sigmoid_(), g.tanh_())
    return o.sigmoid_() * c.tanh(), c
