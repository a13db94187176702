"""Feed-forward neural network language model.

Bengio, Ducharme, Vincent, Jauvin: A Neural Probabilistic Language Model (JMLR 3, 2003). The n-1 words before are
looked up in one table C and concatenated; a tanh layer and, optionally, direct connections lead to a softmax
(section 2, equation 1)::

    x = (C(w_{t-1}), …, C(w_{t-n+1}))
    y = b + W x + U tanh(d + H x)            p(w_t | w_{t-n+1} … w_{t-1}) = softmax(y)

Without direct connections ``W = 0``. What stands before the beginning of a sentence is ``<s>``.

Options: dropout on the embeddings and on what the output reads; output weights tied to the embedding (Press and Wolf
2017; Inan et al. 2017). Tied, ``y = b + C P f`` with ``f = tanh(d + H x)``, or ``f = (tanh(d + H x), x)`` with direct
connections: U and W of the equation above are then products of C and of parts of the projection P. Direct connections
alone in that form are the log-bilinear model (Mnih and Hinton 2007). P is left out where f is as wide as C.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.dropout import Dropout
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.neural import CausalNetwork, State
from asr_lm.lm.output.layer import SoftmaxOutput, even_block, make_output

_BLOCK_CONTEXTS = 8192
"""Contexts whose hidden vectors are in memory at once while scoring."""

_INITIAL_SUM = 0.5
"""Standard deviation of what enters the tanh at the start: with sums near 0 the layer is linear, and learns slowly."""


class NnlmNetwork(CausalNetwork):
    """The network; its state is the last n-1 tokens, ``[1, batch, n - 1]``."""

    has_state = True

    def __init__(self, config: NnlmConfig) -> None:
        super().__init__()
        self.config: NnlmConfig = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        window = (config.order - 1) * config.embedding
        self.tanh_layer = nn.Linear(window, config.hidden)
        if not self.embedding.weight.is_meta:  # a network of shapes alone has no values
            deviation = self.embedding.weight.std().item()
            nn.init.normal_(self.tanh_layer.weight, std=_INITIAL_SUM / (deviation * window**0.5))
        width = config.hidden + (window if config.direct else 0)
        self.projection: nn.Linear | None = None
        if config.tied and width != config.embedding:
            self.projection = nn.Linear(width, config.embedding, bias=False)
            width = config.embedding
        self.dropout = Dropout(config.dropout)
        self.output = make_output(config, width, self.embedding if config.tied else None)

    @torch.no_grad()
    def prepare(self, counts: Tensor) -> None:
        """The biases of a full softmax begin as the logarithm of the unigram distribution, far from 0 where words are
        rare: what the training would take its first thousands of steps to find."""
        super().prepare(counts)
        if isinstance(self.output, SoftmaxOutput):
            self.output.bias.copy_((counts.clamp(min=1) / counts.clamp(min=1).sum()).log())

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        time = inputs.shape[1]
        before = inputs[:, :1].expand(-1, self.config.order - 1) if state is None else state[0][0]
        tokens = torch.cat([before, inputs], dim=1)
        embedded = self.dropout(self.embedding(tokens[:, 1:]))
        window = torch.cat([embedded[:, age : age + time] for age in range(self.config.order - 1)], dim=2)
        return self._features(window), (tokens[:, time:][None],)

    def _features(self, window: Tensor) -> Tensor:
        """What the output reads ``[…, width]``, from concatenated embeddings ``[…, (n - 1) · embedding]``."""
        hidden = self.dropout(torch.tanh(self.tanh_layer(window)))  # tanh(d + H x) of equation 1
        features = torch.cat([hidden, window], dim=-1) if self.config.direct else hidden
        return features if self.projection is None else self.projection(features)

    def node_log_probs(self, tree: PrefixTree) -> Tensor:
        results = torch.zeros(len(tree.token), device=self.device)
        contexts, context = distinct_contexts(tree, self.config.order - 1)
        order = 1 + np.argsort(context[1:], kind="stable")
        rows = torch.from_numpy(context[order]).to(self.device)
        nodes = torch.from_numpy(order).to(self.device)
        tokens = torch.from_numpy(tree.token).long().to(self.device)[nodes]
        results[nodes] = self._log_probs(torch.from_numpy(contexts).long().to(self.device), rows, tokens)
        return results

    def _log_probs(self, contexts: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
        """Log p(tokens[i] | contexts[rows[i]]) ``[n]``; ``rows`` ascend, each context is asked for at least once."""
        size = even_block(len(contexts), _BLOCK_CONTEXTS)
        starts = torch.arange(0, len(contexts) + size, size, device=rows.device)
        edges = torch.searchsorted(rows, starts).tolist()
        values = []
        for block, (first, last) in enumerate(itertools.pairwise(edges)):
            begin = block * size
            features = self._features(self.embedding(contexts[begin : begin + size]).flatten(1))
            values.append(self.output.log_probs(features, rows[first:last] - begin, tokens[first:last]))
        return torch.cat(values)


def distinct_contexts(tree: PrefixTree, length: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The distinct contexts of the nodes of a tree.

    Nodes with the same last ancestors share a context, wherever in the tree they are. Above the root stands the root
    symbol, over and over.

    Args:
        tree: at least one node below the root.
        length: tokens of a context.

    Returns:
        contexts: tokens ``[contexts, length]``, the oldest first.
        context: row of the context that predicts each node ``[nodes]``; of the root it is -1.
    """
    inner = np.unique(tree.parent[1:])
    context = np.full(len(tree.token), -1)
    walk = inner.astype(np.int64)
    tokens = np.empty((len(inner), length), dtype=np.int32)
    for age in range(length):
        tokens[:, length - 1 - age] = tree.token[walk]
        walk = np.maximum(tree.parent[walk], 0)
    number = _row_numbers(tokens)
    _, first, kind = np.unique(number, return_index=True, return_inverse=True)
    context[1:] = kind[np.searchsorted(inner, tree.parent[1:])]
    return tokens[first], context


def _row_numbers(rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """A number for each row ``[n]``, equal for equal rows alone."""
    number = rows[:, 0].astype(np.int64)
    limit = radix = int(rows.max()) + 1
    for column in rows.T[1:]:
        if limit > np.iinfo(np.int64).max // radix:
            number = np.unique(number, return_inverse=True)[1].astype(np.int64)
            limit = len(rows)
        number = number * radix + column
        limit *= radix
    return number
