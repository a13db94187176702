"""Adaptive softmax.

Grave, Joulin, Cissé, Grangier, Jégou: Efficient softmax approximation for GPUs (ICML 2017). The most frequent words
are predicted at once, together with a few clusters of the others; the rarer the words of a cluster, the narrower the
vector they are predicted from. The layers are those of torch's ``AdaptiveLogSoftmaxWithLoss``.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.output.layer import softmax_log_probs
from asr_lm.lm.output.ranked import RankedOutput
from asr_lm.lm.scoring.matrix_product import linear
from asr_lm.lm.sizes import OutputConfig

_MOST_HEAD_WORDS = 2000
"""Words predicted at once, in a large vocabulary; in a small one a fifth of it."""

_NARROWER = 4
"""Each cluster has so many times more words than the one before and reads a vector so many times narrower (section 5:
a factor of 4 between the widths)."""


class AdaptiveOutput(RankedOutput):
    """The adaptive softmax.

    Args:
        vocabulary_size: number of token ids.
        width: size of the hidden vector.

    Attributes:
        softmax: torch's layers; they know words by their ranks.
    """

    def __init__(self, vocabulary_size: int, width: int) -> None:
        super().__init__(vocabulary_size)
        edges = cutoffs(vocabulary_size, width)
        narrower = float(min(_NARROWER, width))
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary_size, edges, narrower, head_bias=True)
        self.register_buffer("_edges", torch.tensor([0, *edges]), persistent=False)

    @classmethod
    def from_config(cls, config: OutputConfig, width: int, tied: nn.Embedding | None) -> Self:
        """As :func:`~asr_lm.lm.output.layer.make_output`."""
        if tied is not None:
            raise InputError("an adaptive output cannot be tied to the embedding", field="tied")
        return cls(config.vocabulary_size, width)

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        cluster, in_head, member = self._place(targets)
        result = nn.functional.cross_entropy(self.softmax.head(hidden).float(), in_head, reduction="none")
        # Clusters without a target, which torch's forward leaves out, take part: every step then has all gradients.
        for number, tail in enumerate(self.softmax.tail, 1):
            rows = (cluster == number).nonzero()[:, 0]
            logits = tail(hidden[rows]).float()
            result = result.index_add(0, rows, nn.functional.cross_entropy(logits, member[rows], reduction="none"))
        return result

    @torch.no_grad()
    def log_probs(self, hidden: Tensor, context: Tensor, tokens: Tensor) -> Tensor:
        cluster, in_head, member = self._place(tokens)
        head = self.softmax.head
        results = softmax_log_probs(hidden, context, in_head, head.weight, head.bias)
        for number, tail in enumerate(self.softmax.tail, 1):
            queries = (cluster == number).nonzero()[:, 0]
            if len(queries):
                projection, words = tail.parameters()
                narrow = linear(hidden[context[queries]], projection)
                own = torch.arange(len(queries), device=hidden.device)
                results[queries] += softmax_log_probs(narrow, own, member[queries], words)
        return results

    def _place(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cluster of each token (0 is the head), its place or that of its cluster in the head, and in its cluster."""
        rank = self.rank[tokens]
        edges: Tensor = self.get_buffer("_edges")
        cluster = torch.bucketize(rank, edges[1:], right=True)
        in_head = torch.where(cluster == 0, rank, self.softmax.shortlist_size + cluster - 1)
        return cluster, in_head, rank - edges[cluster]


def cutoffs(vocabulary_size: int, width: int) -> list[int]:
    """Ranks at which the clusters after the head begin, at least one; a cluster's vector is not narrower than 1."""
    edge = max(1, min(_MOST_HEAD_WORDS, vocabulary_size // 5))
    edges: list[int] = []
    while edge < vocabulary_size and (not edges or width >= _NARROWER ** (len(edges) + 1)):
        edges.append(edge)
        edge *= _NARROWER + 1
    return edges
