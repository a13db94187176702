"""Full softmax weights trained by noise-contrastive estimation.

Mnih and Teh: A fast and simple algorithm for training neural probabilistic language models (ICML 2012), equations 8 to
12; Chen, Liu, Gales, Woodland: Recurrent neural network language model training with noise contrastive estimation for
speech recognition (ICASSP 2015). The model learns to tell each word of the text from k noise words; its normaliser is
fixed to 1, so it learns to be normalised by itself, and a score need not visit the whole vocabulary.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn

from asr_lm.lm.output.layer import SoftmaxOutput
from asr_lm.lm.sizes import OutputConfig

_QUERIES = 8192
"""Unnormalised scores computed at once."""


class NoiseContrastiveOutput(SoftmaxOutput):
    """The full softmax with another training loss; validation and, unless told otherwise, scores are exact.

    Args:
        vocabulary_size: number of token ids.
        width: size of the hidden vector.
        samples: noise words, shared by all targets of a batch.
        tied: as in :class:`~asr_lm.lm.output.layer.SoftmaxOutput`.

    Attributes:
        normalised: whether :meth:`log_probs` divides by the sum over the vocabulary. Without, a score is a product of
            two vectors, and no log-probability but for what training has made of it.
    """

    normalised = True

    def __init__(self, vocabulary_size: int, width: int, samples: int, tied: nn.Embedding | None = None) -> None:
        super().__init__(vocabulary_size, width, tied)
        self.samples = samples
        # Not kept with the weights: only training needs it, and is told the counts again whenever it begins.
        self.register_buffer("_noise", torch.full((vocabulary_size,), 1 / vocabulary_size), persistent=False)

    @classmethod
    def from_config(cls, config: OutputConfig, width: int, tied: nn.Embedding | None) -> Self:
        return cls(config.vocabulary_size, width, config.noise_samples, tied)

    @torch.no_grad()
    def prepare(self, counts: Tensor) -> None:
        """Noise is the unigram distribution, and the biases begin as its logarithm, so that the sum begins near 1.

        A word that does not occur counts as seen once: as noise it is taught to be rare.
        """
        shares = counts.clamp(min=1).double()
        self._unigram().copy_(shares / shares.sum())
        self.bias.copy_(self._unigram().log())

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """In training, the negative log-likelihood of "text" for each target and of "noise" for the noise words."""
        if not self.training:
            return self.nll(hidden, targets)
        noise = torch.multinomial(self._unigram(), self.samples, replacement=True)
        of_text = self._scores(hidden, targets).float() - self._expected(targets)
        logits = nn.functional.linear(hidden, self.weight[noise], self.bias[noise])
        of_noise = logits.float() - self._expected(noise)
        softplus = nn.functional.softplus
        return softplus(-of_text) + softplus(of_noise).sum(1)

    @torch.no_grad()
    def log_probs(self, hidden: Tensor, context: Tensor, tokens: Tensor) -> Tensor:
        if self.normalised:
            return super().log_probs(hidden, context, tokens)
        parts = zip(context.split(_QUERIES), tokens.split(_QUERIES), strict=True)
        return torch.cat([self._scores(hidden[rows], words).float() for rows, words in parts])

    def skip_normaliser(self) -> None:
        self.normalised = False

    def _scores(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """h · v_w + b_w ``[n]`` of one word for each row of ``hidden``."""
        return (hidden * self.weight[tokens]).sum(1) + self.bias[tokens]

    def _expected(self, tokens: Tensor) -> Tensor:
        """Log k q(w): how often the noise has the word ``[n]``."""
        return self._unigram()[tokens].log() + math.log(self.samples)

    def _unigram(self) -> Tensor:
        return self.get_buffer("_noise")
