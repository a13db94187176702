"""Bidirectional LSTM language model: every word predicted from both sides, never from itself.

A *left* LSTM reads the sentence forwards and a *right* one backwards; both begin with ``<s>``. The two are complete
stacks of their own that meet only at the output: in a stacked bidirectional layer the second layer would read, through
the other direction, the very word it predicts. Two ways to combine them (``combine`` of the sizes):

``joint``
    One softmax over both sides' states, as in Arisoy et al. (Bidirectional recurrent neural network language models
    for automatic speech recognition, ICASSP 2015) and, with a layer that merges the sides, Melamud et al. (context2vec,
    CoNLL 2016)::

        p(w_t | w_<t, w_>t) = softmax(V tanh(A l_{t-1} + B r_{t+1} + a) + b)            (1)

    The score of a sentence is its pseudo-log-likelihood Σ_t log p(w_t | w_<t, w_>t), as Shin et al. (Effective sentence
    scoring method using BERT for speech recognition, ACML 2019) use it. It is no log-probability of the sentence: its
    exponentials do not sum to one over sentences, and its perplexity compares with none (Chen et al., Investigating
    bidirectional recurrent neural network language models for speech recognition, Interspeech 2017).

    *The end of the sentence.* The sentence is taken as a circle that its boundary closes, and the boundary is
    predicted like a word: from the left state after w_1 … w_n and the right state after w_n … w_1. (From a right state
    that has read nothing it would be certain, and worth nothing.) So an empty sentence has a score, and competes with
    every sentence of one word: p(</s> | nothing, nothing) and all p(w | nothing, nothing) sum to one. Were only the
    words summed over, saying nothing would cost nothing and be the best of all hypotheses.

``sum``
    Two language models, one of the sentence and one of the sentence read backwards, whose log-probabilities are
    *averaged*, as Xiong et al. combine them (The Microsoft 2016 conversational speech recognition system, 2016)::

        score(w_1 … w_n) = (log p_left(w_1 … w_n </s>) + log p_right(w_n … w_1 </s>)) / 2       (2)

    ``</s>`` is the mean of the ends that each of them predicts. By the inequality of the means the exponentials of the
    score sum to at most one over all sentences, so that its perplexity flatters nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.families.bilstm import BilstmConfig
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.neural import Network, NeuralLanguageModel, NeuralModel, State, row_sums
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.lm.scoring.matrix_product import linear
from asr_lm.lm.training.batches import IGNORED, Batch
from asr_lm.text.vocabulary import token_ids

_BLOCK_CONTEXTS = 8192
"""Contexts that are merged at once while scoring."""


class BilstmNetwork(Network):
    """The two directions, and for ``joint`` the layer in which they meet.

    Attributes:
        left: reads ``<s> w_1 … w_n``.
        right: reads ``<s> w_n … w_1``; in ``joint`` it has the embedding and the output layer of ``left``.
        merge: ``[A B]`` and ``a``; None in ``sum``.
    """

    def __init__(self, config: BilstmConfig) -> None:
        super().__init__()
        self.config: BilstmConfig = config
        self.pseudo = config.combine == "joint"
        sizes = (config.vocabulary_size, config.embedding, config.hidden, config.layers, config.dropout, config.tied)
        self.left, self.right = LstmNetwork(LstmConfig(*sizes)), LstmNetwork(LstmConfig(*sizes))
        self.merge: nn.Linear | None = None
        if config.combine == "joint":
            self.right.embedding, self.right.output = self.left.embedding, self.left.output
            self.merge = nn.Linear(2 * config.hidden, config.hidden)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, None]:
        """See the base class: the pseudo-log-likelihood, or the mean of both directions' losses."""
        return -self.row_log_probs(batch).sum(), None

    def row_log_probs(self, batch: Batch) -> Tensor:
        kept = batch.targets != IGNORED
        if self.merge is None:
            targets = batch.targets.gather(1, backward_order(batch.targets)).masked_fill(~kept, IGNORED)
            backward = Batch(_reversed(batch.inputs, batch.targets), targets)
            return (self.left.row_log_probs(batch) + self.right.row_log_probs(backward)) / 2  # equation 2
        return -row_sums(self.left.output.nll(self.contexts(batch)[kept], batch.targets[kept]), kept)

    def contexts(self, batch: Batch) -> Tensor:
        """What ``joint`` predicts each target from ``[batch, time, hidden]``."""
        assert self.merge is not None
        left, _ = self.left(batch.inputs)  # l_{t-1}
        right, _ = self.right(_reversed(batch.inputs, batch.targets))  # r, in the order in which it reads
        order = backward_order(batch.targets)[..., None].expand_as(right)
        # Equation 1 without its output: tanh(A l_{t-1} + B r_{t+1} + a).
        return torch.tanh(self.merge(torch.cat([left, right.gather(1, order)], dim=-1)))


def backward_order(targets: Tensor) -> Tensor:
    """How much of the sentence the right side has read where it meets each target ``[batch, time]``, padding anyhow.

    Of n words the right side has read n - t before it meets word t (from 1), and all n before it meets the boundary.
    The same numbers say where each target of the sentence read backwards comes from.

    Args:
        targets: ``[batch, time]``, one sentence a row, ``</s>`` included, then :data:`IGNORED`.
    """
    closed = (targets != IGNORED).sum(dim=1, keepdim=True)
    return (closed - 2 - torch.arange(targets.shape[1], device=targets.device)).remainder(closed)


def _reversed(inputs: Tensor, targets: Tensor) -> Tensor:
    """``<s> w_n … w_1`` for inputs ``<s> w_1 … w_n`` (each ``[batch, time]``); padding comes out as anything."""
    closed = (targets != IGNORED).sum(dim=1, keepdim=True)
    return inputs.gather(1, (-torch.arange(inputs.shape[1], device=inputs.device)).remainder(closed))


class BidirectionalModel(NeuralModel, LanguageModel):
    """A bidirectional network with its vocabulary.

    What is before a word is a node of the tree of prefixes, what is after it one of the tree of suffixes, and the LSTMs
    read each of them once however many sentences share it. The softmax has no share in that: in hypotheses of like
    length hardly two words stand between the same two contexts (1.02 on 100-best lists, where prefixes are shared by
    3.8 and suffixes by 2.3).
    """

    network: BilstmNetwork

    default_budget = 200_000
    """Tokens of the sentences whose states are in memory at once."""

    @property
    def pseudo(self) -> bool:
        return self.network.pseudo

    @property
    def causal(self) -> bool:
        return False

    @torch.inference_mode()
    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        self.network.eval()
        sentences = list(map(token_ids, sentences))
        if self.network.merge is None:
            return self._mean_of_both(sentences, budget)
        results: list[LogProbs] = []
        for first, last in _consecutive(sentences, budget or self.default_budget):
            results.extend(self._within_memory(sentences[first:last]))
        return results

    def _mean_of_both(self, sentences: Sequence[Tokens], budget: int | None) -> list[LogProbs]:
        left, right = (
            NeuralLanguageModel("lstm", network, self.vocabulary, self.normalizer)
            for network in (self.network.left, self.network.right)
        )
        forward = left.token_log_probs(sentences, budget)
        backward = right.token_log_probs([sentence[::-1] for sentence in sentences], budget)
        turned = [np.append(values[-2::-1], values[-1]) if len(values) > 1 else values for values in backward]
        return [(one + other) / 2 for one, other in zip(forward, turned, strict=True)]  # equation 2

    def _within_memory(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """As :meth:`_score`; where a GPU's memory is not enough, in two parts.

        Raises:
            InputError: not even one sentence fits.
        """
        try:
            return self._score(sentences)
        except torch.OutOfMemoryError:
            pass  # the exception holds the tensors that did not fit until this block is left
        if len(sentences) == 1:
            raise InputError(f"a sentence of {len(sentences[0])} tokens does not fit into the GPU's memory")
        torch.cuda.empty_cache()
        half = len(sentences) // 2
        return [*self._within_memory(sentences[:half]), *self._within_memory(sentences[half:])]

    def _score(self, sentences: Sequence[Tokens]) -> list[LogProbs]:
        """Pseudo-log-likelihood of every token of sentences (at least one) by one tree of each direction."""
        closed = self.vocabulary.targets(sentences)
        lengths = np.array([len(sentence) for sentence in closed])
        start, length = np.repeat(np.cumsum(lengths) - lengths, lengths), np.repeat(lengths, lengths)
        before, left = self._read(closed, 0)
        after, right = self._read([np.append(sentence[-2::-1], sentence[-1]) for sentence in closed], 1)
        after = after[start + (start + length - 2 - np.arange(len(start))) % length]
        values = self._between(left, before, right, after, np.concatenate(closed))
        return np.split(values, np.cumsum(lengths)[:-1])

    def _read(self, sentences: list[Tokens], side: int) -> tuple[NDArray[np.int64], Tensor]:
        """What the left (0) or the right (1) side sees before each token of closed sentences.

        Returns:
            row of the states for every token ``[tokens]``; the states, through their half of the merging layer
            ``[inner nodes, hidden]``.
        """
        merge, network = self.network.merge, (self.network.left, self.network.right)[side]
        assert merge is not None
        tree = PrefixTree.build(sentences, self.vocabulary.bos_id)
        weight = merge.weight.chunk(2, dim=1)[side].contiguous()
        states = [linear(network.hidden(state), weight) for state in network.inner_states(tree)]
        _, rows = np.unique(tree.parent[1:], return_inverse=True)  # the states come in the order of their nodes
        return rows[tree.path - 1].astype(np.int64), torch.cat(states)

    def _between(
        self, left: Tensor, before: NDArray[np.int64], right: Tensor, after: NDArray[np.int64], tokens: Tokens
    ) -> LogProbs:
        """Log p(token | left[before], right[after]) of each token ``[tokens]``, a block of contexts at a time."""
        merge, device = self.network.merge, left.device
        assert merge is not None
        places = (torch.from_numpy(place).to(device) for place in (before, after, tokens.astype(np.int64)))
        blocks = zip(*(place.split(_BLOCK_CONTEXTS) for place in places), strict=True)
        results = []
        for some_before, some_after, some_tokens in blocks:
            hidden = left[some_before].add_(right[some_after]).add_(merge.bias).tanh_()  # tanh(A l + B r + a)
            rows = torch.arange(len(hidden), device=device)
            # softmax(V … + b) at the token: equation 1
            results.append(self.network.left.output.log_probs(hidden, rows, some_tokens))
        return torch.cat(results).double().cpu().numpy()


def _consecutive(sentences: Sequence[Tokens], budget: int) -> Iterator[tuple[int, int]]:
    """Runs of sentences of at most ``budget`` tokens, ``</s>`` counted; neighbours in a list share the most."""
    first = tokens = 0
    for index, sentence in enumerate(sentences):
        if index > first and tokens + len(sentence) + 1 > budget:
            yield first, index
            first, tokens = index, 0
        tokens += len(sentence) + 1
    if len(sentences):
        yield first, len(sentences)
