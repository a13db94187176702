"""Dynamic evaluation: a model that goes on learning from the text it reads.

Mikolov, Karafiát, Burget, Černocký, Khudanpur: Recurrent neural network based language model (Interspeech 2010),
section 2: the text is read once, in order, and after each part of it, here a sentence, the weights take a step of
stochastic gradient descent on what was just read. Every word is scored before it is learnt.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from asr_lm.lm.neural import CausalNetwork, State

_FAIR_TRIAL = 1000
"""Tokens after which a model that does clearly worse than guessing will not recover."""


class DynamicReader:
    """Consecutive sentences read by a copy of a network that learns from each; the network itself stays as it is.

    Args:
        network: a causal one.
        vocabulary: of its tokens.
        learning_rate: of the gradient of a sentence's summed log-probability.
        carry_state: carry the network's state from sentence to sentence, too.

    Raises:
        InputError: no learning rate above 0.
    """

    def __init__(
        self, network: CausalNetwork, vocabulary: Vocabulary, learning_rate: float, *, carry_state: bool = True
    ) -> None:
        if not 0 < learning_rate < float("inf"):
            raise InputError(f"expected a learning rate above 0, not {learning_rate}", parameter="dynamic")
        self._vocabulary = vocabulary
        self._network: CausalNetwork = copy.deepcopy(network).eval()
        self._learning_rate = learning_rate
        self._carry_state = carry_state
        self._state: State | None = None
        self._log_prob, self._tokens = 0.0, 0

    def token_log_probs(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """Log-probability of every token of the next sentences, ``</s>`` included.

        Raises:
            InputError: the learning rate is so high that the weights are no longer finite, or that so far the model
                does clearly worse than one that holds every token equally likely.
        """
        return [self._read(sentence) for sentence in sentences]

    def _read(self, sentence: Tokens) -> LogProbs:
        device = self._network.device
        read, predicted = (torch.from_numpy(side.astype(np.int64)) for side in self._vocabulary.frame(sentence))
        inputs, targets = read[None].to(device), predicted.to(device)
        # cuDNN's recurrent networks have a gradient in training only, and dropout is not wanted here.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            hidden, state = self._network(inputs, self._state)
            nll = self._network.output.nll(hidden[0], targets)
            self._learn(nll.sum())
        if self._carry_state and state is not None:
            self._state = tuple(tensor.detach() for tensor in state)
        values: LogProbs = -nll.detach().double().cpu().numpy()
        self._log_prob, self._tokens = self._log_prob + float(values.sum()), self._tokens + len(values)
        if not math.isfinite(self._log_prob) or (self._tokens >= _FAIR_TRIAL and self._is_lost()):
            raise InputError(f"{self._learning_rate} is too high: the weights diverge", parameter="dynamic")
        return values

    def _is_lost(self) -> bool:
        """Whether the network does clearly worse than guessing: its perplexity is above twice the vocabulary."""
        return self._log_prob < -self._tokens * math.log(2 * self._vocabulary.size)

    def _learn(self, loss: Tensor) -> None:
        trained = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(trained, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(gradient, alpha=self._learning_rate)
