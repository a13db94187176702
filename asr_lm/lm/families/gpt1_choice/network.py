"""GPT-1 fine-tuned to choose from an n-best list.

Radford et al. 2018, section 3.3, the form for multiple choice: each candidate is read as ``<s> w1 … wn </s>``, a linear
layer makes one number of the vector at its last token, and the softmax over the list says how probable each is::

    P(i | list) = softmax_i(h_i · w)
    L = L_choice + λ · L_LM                λ = 0.5 (their equation 5)

What is to be chosen is known only by its word errors e_i, so ``L_choice`` is the expected number of errors,
``Σ_i P(i) e_i``, or the cross-entropy with the oracle, ``-log`` of what the hypotheses of fewest errors get together.
``L_LM`` is the mean negative log-likelihood of a token of the reference: of what was said, not of what was misheard.

The number ``h · w`` ranks the hypotheses of one list. It is no log-probability, sums to nothing, and has no perplexity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from asr_lm.hypotheses.prefix_tree import PrefixTree, split_by_nodes
from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.gpt1.network import Gpt1Network
from asr_lm.lm.families.gpt1_choice import Gpt1ChoiceConfig
from asr_lm.lm.neural import Network, NeuralModel, State
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.training.batches import IGNORED, Batch
from asr_lm.lm.training.list_batches import ListBatch

_BUDGET = 500_000
"""Nodes of one prefix tree."""


class Gpt1ChoiceNetwork(Network):
    """A language model with a head that scores whole hypotheses."""

    def __init__(self, config: Gpt1ChoiceConfig) -> None:
        super().__init__()
        self.config: Gpt1ChoiceConfig = config
        self.language = Gpt1Network(config)
        self.dropout = Dropout(config.dropout)
        self.choice = nn.Linear(config.width, 1, bias=False)  # a bias would be the same for the whole list
        nn.init.normal_(self.choice.weight, std=0.02)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, None]:
        """Loss summed over the lists of a batch; while validating, that of the choice alone."""
        assert isinstance(batch, ListBatch)
        hypotheses = len(batch.owner)
        read = batch.inputs if self.training else batch.inputs[:hypotheses]
        hidden, _ = self.language(read)
        last = hidden[torch.arange(hypotheses, device=hidden.device), batch.last]
        logits = self.choice(self.dropout(last))[:, 0].float()
        loss = choice_loss(logits, batch.errors, batch.owner, self.config.target)
        if self.training:
            loss = loss + self.config.auxiliary * self._reference_loss(hidden[hypotheses:], batch.targets[hypotheses:])
        return loss, None

    def _reference_loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean negative log-likelihood of a token of each reference, summed over the references."""
        kept = targets != IGNORED
        share = (1 / kept.sum(1, keepdim=True)).expand(targets.shape)
        return (self.language.output.nll(hidden[kept], targets[kept]) * share[kept]).sum()

    @torch.no_grad()
    def score_tree(self, tree: PrefixTree) -> Tensor:
        """The head's number for each sentence of a prefix tree ``[sentences]``."""
        scores = torch.zeros(len(tree.token), device=self.device)
        for nodes, hidden in self.language.read_tree(tree, np.ones(len(tree.token), dtype=np.bool_)):
            scores[torch.from_numpy(nodes).to(self.device)] = self.choice(hidden)[:, 0]
        return scores[torch.from_numpy(tree.path[tree.offsets[1:] - 1]).long().to(self.device)]


def choice_loss(logits: Tensor, errors: Tensor, owner: Tensor, target: str) -> Tensor:
    """Loss of choosing, summed over the lists (nats, or expected errors).

    Args:
        logits: one of each hypothesis ``[hypotheses]``.
        errors: its word errors ``[hypotheses]``.
        owner: number of its list, from 0 ``[hypotheses]``.
        target: ``errors`` or ``oracle``.
    """
    log_probs = logits - _log_sum_exp(logits, owner)[owner]
    if target == "errors":
        return (log_probs.exp() * errors).sum()
    fewest = errors.new_full((_lists(owner),), torch.inf).scatter_reduce(0, owner, errors, "amin")
    best = errors == fewest[owner]
    return -_log_sum_exp(log_probs[best], owner[best]).sum()


def _log_sum_exp(values: Tensor, owner: Tensor) -> Tensor:
    """Of the values of each list ``[lists]``."""
    highest = values.new_full((_lists(owner),), -torch.inf).scatter_reduce(0, owner, values.detach(), "amax")
    sums = torch.zeros_like(highest).index_add(0, owner, (values - highest[owner]).exp())
    return highest + sums.log()


def _lists(owner: Tensor) -> int:
    return int(owner.max()) + 1


class Gpt1ChoiceModel(NeuralModel):
    """A network that ranks hypotheses, with its vocabulary; its score is a feature like any other."""

    network: Gpt1ChoiceNetwork

    @torch.inference_mode()
    def score_tokens(
        self,
        sentences: Sequence[Tokens],
        contexts: Sequence[Sequence[Tokens]] | None = None,
        budget: int | None = None,
    ) -> LogProbs:
        """The head's number for each sentence ``[sentences]``: larger is better, but it is no log-probability."""
        self.network.eval()
        closed = self.vocabulary.targets(sentences)
        scores = np.zeros(len(closed))
        for group in split_by_nodes(closed, budget or _BUDGET):
            tree = PrefixTree.build([closed[index] for index in group], self.vocabulary.bos_id)
            scores[group] = self.network.score_tree(tree).double().cpu().numpy()
        return scores
