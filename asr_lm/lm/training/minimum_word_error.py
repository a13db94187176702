"""Minimum word error rate training: few expected errors over the hypotheses of a list.

Prabhavalkar et al., Minimum Word Error Rate Training for Attention-based Sequence-to-Sequence Models (ICASSP 2018),
equation 3, and for second-pass models Xu et al., RescoreBERT (ICASSP 2022), section 2.2. A hypothesis ``y`` of a list
has the score by which it will be chosen: everything else that is known of it, with the weights that were tuned, and
the log-probability of the model that learns, with its own::

    s(y) = a (Σ_k w_k f_k(y) + w log p_θ(y))        P(y) = exp s(y) / Σ_y' exp s(y')
    L = Σ_y P(y) e(y) + λ (mean -log p_θ of a token of what was said)

``e(y)`` are the word errors of the hypothesis, ``a`` is the scale of the posterior. The gradient by a score is
``P(y) (e(y) - Σ_y' P(y') e(y'))``: what has fewer errors than are expected gains, and what all hypotheses of a list
have in common changes nothing. So a list of one hypothesis, or of equal errors, has no gradient, and a constant taken
from all errors changes none; the mean error of the list is taken, as there, before the sum is rounded.

The sum runs over some hypotheses of a long list, drawn anew in every epoch: without replacement, the more probable
ones under the model before more often (Gumbel-top-k, Kool et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from asr_lm.lm.neural import Network, State
from asr_lm.lm.training.batches import Batch
from asr_lm.lm.training.list_batches import ListBatch


@dataclass(frozen=True)
class Combination:
    """How a model's score and all others of a hypothesis add up.

    Attributes:
        weight: of the model's log-probability, above 0.
        scale: of the whole: the posterior of a hypothesis is ``softmax(scale * total)``.
        likelihood: weight of the mean negative log-likelihood of a token of what was said.
    """

    weight: float
    scale: float
    likelihood: float = 0.0


class MinimumWordErrorNetwork(Network):
    """A network that is trained for few expected errors.

    Attributes:
        network: what learns; scores each hypothesis.
        combination: how its score counts.
    """

    counts_errors: ClassVar[bool] = True

    def __init__(self, network: Network, combination: Combination) -> None:
        super().__init__()
        self.network = network
        self.combination = combination
        self.config = network.config

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, None]:
        """Expected errors summed over the lists of a batch; in training with the likelihood's term for each list."""
        assert isinstance(batch, ListBatch)
        log_probs = self.network.row_log_probs(batch.read)[batch.rows]
        totals = batch.fixed.to(log_probs) + self.combination.scale * self.combination.weight * log_probs
        loss = expected_list_errors(totals, batch.errors, batch.lengths).sum()
        if self.training and self.combination.likelihood:
            missed, _ = self.network.loss(batch.said)
            loss = loss + self.combination.likelihood * batch.units / batch.said.tokens * missed
        return loss, None

    def row_log_probs(self, batch: Batch) -> Tensor:
        return self.network.row_log_probs(batch)


def expected_list_errors(totals: Tensor, errors: Tensor, lengths: Tensor) -> Tensor:
    """Expected errors of each list, ``Σ_y P(y) e(y)`` ``[lists]``, with ``P = softmax(totals)`` over the list.

    Args:
        totals: scaled scores ``[hypotheses]``, list after list.
        errors: of each hypothesis ``[hypotheses]``.
        lengths: number of hypotheses of each list, at least one ``[lists]``.
    """
    owner = torch.repeat_interleave(lengths)
    errors = errors.to(totals)
    zeros = totals.new_zeros(len(lengths))
    highest = zeros.scatter_reduce(0, owner, totals.detach(), "amax", include_self=False)
    grown = (totals - highest[owner]).exp()
    posterior = grown / zeros.index_add(0, owner, grown)[owner]
    mean = zeros.index_add(0, owner, errors) / lengths
    return mean + zeros.index_add(0, owner, posterior * (errors - mean[owner]))
