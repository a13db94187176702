"""Simple recurrent neural network language model.

Mikolov, Karafiát, Burget, Černocký, Khudanpur: Recurrent neural network based language model (Interspeech 2010), and
Extensions of Recurrent Neural Network Language Model (ICASSP 2011). An input word chooses a row of W, the state holds
sigmoid units, and by default the output is factored by word classes::

    s_t = σ(W w_t + U s_{t-1} + b)      y_t = output(s_t)

The state is read as its distance from the middle of its range, ``s - 1/2``, which only moves the biases: those of the
papers' form are b - U·1/2 here. Learning is quicker, and dropout leaves a unit in the middle instead of at its end.

Training is truncated back-propagation through time over streams of text (``--context stream``). Dropout, which the
papers do not have, is on the input and output connections only (Zaremba, Sutskever, Vinyals 2014).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from asr_lm.lm.device import draw_orthogonal
from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.rnnlm import RnnlmConfig
from asr_lm.lm.neural import RecurrentNetwork, State
from asr_lm.lm.output.layer import make_output
from asr_lm.lm.scoring.matrix_product import linear

_FIRST_STATE = 0.1
"""Units before anything was read: small, as in the 2010 paper, section 2."""


class RnnlmNetwork(RecurrentNetwork):
    """The network; the state is (s,), ``[1, batch, hidden]``."""

    def __init__(self, config: RnnlmConfig) -> None:
        super().__init__()
        self.config: RnnlmConfig = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.hidden)
        self.weight = nn.Parameter(torch.empty(config.hidden, config.hidden))
        self.bias = nn.Parameter(torch.zeros(config.hidden))
        self.dropout = Dropout(config.dropout)
        self._initialise()
        self.output = make_output(config, config.hidden)

    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.5, 0.5)
        # Units of slope 1/4 around the middle of the sigmoid: with a gain of 4 the state neither dies nor explodes.
        draw_orthogonal(self.weight, gain=4.0)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        first = (state or self.initial_state(len(inputs)))[0][0]
        gates = self.dropout(self.embedding(inputs)).transpose(0, 1) + self._threshold()
        states = sigmoid_recurrence(gates, self.weight, first)
        # A copy: the place of a row in memory may change the last bits of a product, and a resumed run's is another.
        return self.dropout(_centred(states)).transpose(0, 1), (states[-1:].clone(),)

    def initial_state(self, batch: int) -> State:
        return (torch.full((1, batch, self.config.hidden), _FIRST_STATE, device=self.device),)

    def input_gates(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) + self._threshold()

    def advance(self, state: State, parents: Tensor, gates: Tensor) -> State:
        return (linear(state[0][0][parents], self.weight).add_(gates).sigmoid_()[None],)

    def hidden(self, state: State) -> Tensor:
        return _centred(state[0][0])

    def _threshold(self) -> Tensor:
        """What is added to U s so that s counts from the middle of its range ``[hidden]``."""
        return self.bias - self.weight.sum(1) / 2


def _centred(states: Tensor) -> Tensor:
    """The states from -1 to 1."""
    return 2 * states - 1


def sigmoid_recurrence(gates: Tensor, weight: Tensor, first: Tensor) -> Tensor:
    """``s_t = σ(gates_t + U s_{t-1})`` for all t: ``[time, batch, hidden]``.

    Args:
        gates: what the inputs add ``[time, batch, hidden]``.
        weight: U ``[hidden, hidden]``.
        first: the state before the first step ``[batch, hidden]``.
    """
    with torch.autocast("cpu", enabled=False):  # its steps are in place, and of one type
        states: Tensor = _SigmoidRecurrence.apply(gates.to(weight.dtype), weight, first)
    return states


class _SigmoidRecurrence(torch.autograd.Function):
    """The recurrence with a gradient of its own: one product for U over all steps instead of one a step."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx: Any, gates: Tensor, weight: Tensor, first: Tensor) -> Tensor:
        states = torch.empty(gates.shape, dtype=gates.dtype, device=gates.device)
        previous, transposed = first, weight.t()
        for gate, state in zip(gates, states, strict=True):
            previous = torch.addmm(gate, previous, transposed, out=state).sigmoid_()
        ctx.save_for_backward(states, weight, first)
        return states

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        states, weight, first = ctx.saved_tensors
        slope = states * (1 - states)
        deltas = torch.empty_like(states)
        back = torch.zeros_like(first)
        for step in range(len(states) - 1, -1, -1):
            torch.add(gradient[step], back, out=deltas[step]).mul_(slope[step])
            back = torch.mm(deltas[step], weight)
        before = torch.cat([first[None], states[:-1]]).flatten(0, 1)
        return deltas, deltas.flatten(0, 1).t() @ before, back
