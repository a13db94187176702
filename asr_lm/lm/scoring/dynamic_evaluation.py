"""Dynamic evaluation: a model that goes on learning from the text it reads.

Mikolov, Karafiát, Burget, Černocký, Khudanpur: Recurrent neural network based language model (Interspeech 2010),
section 2: the text is read once, in order, and after each part of it, here a sentence, the weights take a step of
stochastic gradient descent on what was just read. Every word is scored before it is learnt.

Krause, Kahembwe, Murray, Renals: Dynamic evaluation of neural sequence models (ICML 2018), section 4: each weight's
step is divided by the root mean square of its gradients on the training text, and the weights are drawn back to where
they began, the more the larger that is::

    theta <- theta - rate * g / (RMS + epsilon) + decay * (theta_0 - theta) * min(RMS / mean(RMS), 1 / decay)

with epsilon = mean(RMS), so that neither rate nor decay depends on how large gradients are.
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
from asr_lm.lm.scoring.learning import Learning
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
        learning: rate and decay.
        text: sentences of the training text, whose gradients scale the steps; without, they are not scaled.
        carry_state: carry the network's state from sentence to sentence, too.

    Raises:
        InputError: a text that gives no gradients.
    """

    def __init__(
        self,
        network: CausalNetwork,
        vocabulary: Vocabulary,
        learning: Learning,
        text: Sequence[Tokens] = (),
        *,
        carry_state: bool = True,
    ) -> None:
        self._vocabulary = vocabulary
        self._network: CausalNetwork = copy.deepcopy(network).eval()
        self._trained = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        self._learning = learning
        self._carry_state = carry_state
        self._log_prob, self._tokens = 0.0, 0
        self._state: State | None = None
        self._pull: _Pull | None = None
        if text:
            self._pull = _Pull(self._trained, self._squares(text), learning.decay)
            self._state = None

    def token_log_probs(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """Log-probability of every token of the next sentences, ``</s>`` included.

        Raises:
            InputError: the learning rate is so high that the weights are no longer finite, or that so far the model
                does clearly worse than one that holds every token equally likely.
        """
        return [self._read(sentence) for sentence in sentences]

    def _read(self, sentence: Tokens) -> LogProbs:
        nll, gradients = self._gradients(sentence)
        values: LogProbs = -nll.double().cpu().numpy()
        self._log_prob, self._tokens = self._log_prob + float(values.sum()), self._tokens + len(values)
        if not math.isfinite(self._log_prob) or (self._tokens >= _FAIR_TRIAL and self._is_lost()):
            raise InputError(f"{self._learning.rate} is too high: the weights diverge", parameter="dynamic")
        with torch.no_grad():
            for number, (parameter, gradient) in enumerate(zip(self._trained, gradients, strict=True)):
                if self._pull is None:
                    parameter.sub_(gradient, alpha=self._learning.rate)
                else:
                    self._pull.step(number, parameter, gradient, self._learning.rate)
        return values

    def _gradients(self, sentence: Tokens) -> tuple[Tensor, list[Tensor]]:
        """Negative log-probability of each token, and the gradient of their sum; the state goes on."""
        device = self._network.device
        read, predicted = (torch.from_numpy(side.astype(np.int64)) for side in self._vocabulary.frame(sentence))
        # cuDNN's recurrent networks have a gradient in training only, and dropout is not wanted here.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            hidden, state = self._network(read[None].to(device), self._state)
            nll = self._network.output.nll(hidden[0], predicted.to(device))
            found = torch.autograd.grad(nll.sum(), self._trained, allow_unused=True)
        if self._carry_state and state is not None:
            self._state = tuple(tensor.detach() for tensor in state)
        unused = zip(self._trained, found, strict=True)
        return nll.detach(), [torch.zeros_like(p) if each is None else each for p, each in unused]

    def _is_lost(self) -> bool:
        """Whether the network does clearly worse than guessing: its perplexity is above twice the vocabulary."""
        return self._log_prob < -self._tokens * math.log(2 * self._vocabulary.size)

    def _squares(self, text: Sequence[Tokens]) -> list[Tensor]:
        """Mean over the sentences of the squared gradient, of each weight."""
        sums = [torch.zeros_like(parameter) for parameter in self._trained]
        for sentence in text:
            for total, gradient in zip(sums, self._gradients(sentence)[1], strict=True):
                total.addcmul_(gradient, gradient)
        return [total.div_(len(text)) for total in sums]


class _Pull:
    """Steps by the size of a weight's gradients, and the way back to where the weights began.

    Args:
        weights: as they are at the beginning.
        squares: mean squared gradient of each.
        decay: see :class:`Learning`.

    Raises:
        InputError: all gradients are zero.
    """

    def __init__(self, weights: Sequence[Tensor], squares: Sequence[Tensor], decay: float) -> None:
        rms = [square.sqrt() for square in squares]
        mean = float(sum(each.double().sum() for each in rms)) / sum(each.numel() for each in rms)
        if not 0 < mean < float("inf"):
            raise InputError("the model learns nothing from this text", parameter="dynamic_text")
        self._scales = [(each + mean).reciprocal_() for each in rms]
        self._began = [weight.detach().clone() for weight in weights] if decay else []
        self._shares = [each.mul_(decay / mean).clamp_(max=1.0) for each in rms] if decay else []

    def step(self, number: int, weight: Tensor, gradient: Tensor, rate: float) -> None:
        """Against a gradient in units of its usual size, and some of the way to where the weight began."""
        weight.addcmul_(gradient, self._scales[number], value=-rate)
        if self._began:
            weight.lerp_(self._began[number], self._shares[number])
