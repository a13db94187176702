"""Output layers: from a hidden vector to a distribution over the vocabulary.

Training needs the negative log-likelihood of targets, scoring the log-probability of a few tokens in many contexts.
Neither keeps a full ``[contexts, vocabulary]`` matrix longer than one block.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from importlib import import_module
from typing import Self

import torch
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.output.softmax_loss import softmax_nll
from asr_lm.lm.scoring.matrix_product import linear, rounds
from asr_lm.lm.sizes import OutputConfig

_BLOCK_VALUES = 5_000_000
"""Logits in memory at once while scoring on a CPU: about what its last-level cache holds. (With 512 units and 5,000
tokens, blocks of 1,024 contexts ran at 150 GFLOP/s on two cores, of 128 at 76, of 4,096 at 123.)"""


def even_block(count: int, most: int) -> int:
    """Size of blocks of at most ``most`` that cut ``count`` rows evenly: a short last block costs like a long one."""
    return -(-count // max(1, -(-count // most)))


class OutputLayer(nn.Module):
    """From a hidden vector to a distribution over the vocabulary."""

    @abstractmethod
    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Negative log-likelihood ``[n]`` (nats) of ``targets [n]`` given ``hidden [n, width]``."""

    @abstractmethod
    def log_probs(self, hidden: Tensor, context: Tensor, tokens: Tensor) -> Tensor:
        """Log p(tokens[i] | hidden[context[i]]) ``[n]``, without gradient.

        Args:
            hidden: ``[contexts, width]``.
            context: row of ``hidden`` for every query ``[n]``, ascending, each row at least once.
            tokens: token of every query ``[n]``.
        """

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """What training minimises ``[n]``: :meth:`nll`, unless the layer has an objective of its own."""
        return self.nll(hidden, targets)

    def prepare(self, counts: Tensor) -> None:
        """Told before the training how often each token occurs in its text ``[vocabulary]``."""

    def skip_normaliser(self) -> None:
        """Let :meth:`log_probs` leave out the sum over the vocabulary from now on.

        Raises:
            InputError: the layer was not trained to be normalised without it.
        """
        raise InputError("only an output trained by noise-contrastive estimation (`output=nce`) has no need of its sum")

    def check(self) -> None:
        """Look at what was read from a file.

        Raises:
            InputError: parameters that training does not change, and that make no sense.
        """


class SoftmaxOutput(OutputLayer):
    """The full softmax, ``p(w | h) = exp(h · v_w + b_w) / Σ``.

    Args:
        vocabulary_size: number of token ids.
        width: size of the hidden vector.
        tied: the embedding whose weight ``[vocabulary, width]`` serves as ``v`` (Press and Wolf 2017), or None.
    """

    def __init__(self, vocabulary_size: int, width: int, tied: nn.Embedding | None = None) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.weight: Tensor
        if tied is not None:
            self.weight = tied.weight
        else:
            self.weight = nn.Parameter(torch.empty(vocabulary_size, width).uniform_(-0.05, 0.05))

    @classmethod
    def from_config(cls, config: OutputConfig, width: int, tied: nn.Embedding | None) -> Self:
        """As :func:`make_output`."""
        return cls(config.vocabulary_size, width, tied)

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        if torch.is_grad_enabled() and hidden.device.type == "cpu":
            return softmax_nll(hidden, self.weight, self.bias, targets, _product_type(hidden))
        logits = nn.functional.linear(hidden, self.weight, self.bias)
        return nn.functional.cross_entropy(logits.float(), targets, reduction="none")

    def log_probs(self, hidden: Tensor, context: Tensor, tokens: Tensor) -> Tensor:
        return softmax_log_probs(hidden, context, tokens, self.weight, self.bias)


def _product_type(rows: Tensor) -> torch.dtype:
    """What a product with these rows is computed in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else rows.dtype


@torch.no_grad()
def softmax_log_probs(
    hidden: Tensor, context: Tensor, tokens: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """:meth:`OutputLayer.log_probs` of a softmax over the rows of ``weight [words, width]`` and ``bias [words]``."""
    half = (weight.bfloat16(), None if bias is None else bias.bfloat16()) if rounds() else None
    results = torch.empty(len(tokens), dtype=torch.float32, device=hidden.device)
    rows = even_block(len(hidden), max(1, _block_values(hidden.device) // len(weight)))
    starts = torch.arange(0, len(hidden) + rows, rows, device=context.device).clamp_(max=len(hidden))
    edges = torch.searchsorted(context, starts).tolist()
    for block, (first, last) in enumerate(itertools.pairwise(edges)):
        part = hidden[block * rows : (block + 1) * rows]
        row = context[first:last] - block * rows
        if half is not None:
            logits = nn.functional.linear(part.bfloat16(), *half)
            results[first:last] = _rounded_log_probs(logits, part[row], row, tokens[first:last], weight, bias)
            continue
        logits = linear(part, weight, bias)
        # The fused kernel passes over the block once; separate steps (max, exp, sum) took as long as the product.
        # In place, because fresh memory for its result cost a tenth of the product.
        results[first:last] = torch.log_softmax(logits, dim=1, out=logits)[row, tokens[first:last]]
    return results


def _rounded_log_probs(
    logits: Tensor, hidden: Tensor, row: Tensor, tokens: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Log-probabilities ``[n]`` from logits in bfloat16 ``[contexts, words]``, which are overwritten.

    The sum over the vocabulary averages its rounding errors out; the logit of the token asked for, which would bring
    its own along, is computed again in float32. A probability below 1e-37 counts as that.

    Args:
        logits: of each context.
        hidden: the vector of each query's context ``[n, width]``, float32.
        row: context of each query ``[n]``.
        tokens: token of each query ``[n]``.
        weight, bias: of the output, float32.
    """
    rounded = logits[row, tokens].float()
    exact = (hidden * weight[tokens]).sum(1)
    if bias is not None:
        exact += bias[tokens]
    share = torch.softmax(logits, 1, out=logits)[row, tokens].float()
    # The sum holds the token's own error, too, in the share of its probability.
    return (exact - rounded) * (1 - share) + share.clamp(min=1e-37).log()


def _block_values(device: torch.device) -> int:
    return _BLOCK_VALUES if device.type == "cpu" else 64 * _BLOCK_VALUES


_LAYERS = {
    "full": ("asr_lm.lm.output.layer", "SoftmaxOutput"),
    "class": ("asr_lm.lm.output.classes", "ClassOutput"),
    "adaptive": ("asr_lm.lm.output.adaptive", "AdaptiveOutput"),
    "nce": ("asr_lm.lm.output.noise_contrastive", "NoiseContrastiveOutput"),
}
"""Module and class of every kind of output."""


def make_output(config: OutputConfig, width: int, tied: nn.Embedding | None = None) -> OutputLayer:
    """A freshly initialised output layer of the kind ``config.output``.

    Args:
        config: kind and sizes.
        width: size of the hidden vector.
        tied: the embedding whose weight is the output's too, or None; factored outputs have no such weight.
    """
    module, name = _LAYERS[config.output]
    layer: OutputLayer = getattr(import_module(module), name).from_config(config, width, tied)
    return layer
