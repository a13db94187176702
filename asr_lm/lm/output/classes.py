"""Output factored by word classes.

Mikolov, Kombrink, Burget, Černocký, Khudanpur: Extensions of Recurrent Neural Network Language Model (ICASSP 2011),
section 3 (the idea is Goodman's, 2001)::

    p(w | h) = p(c(w) | h) · p(w | c(w), h)

Every word belongs to one class. Classes are cut from the words sorted by frequency so that each holds about the same
share of the running text, so a word costs C + V / C products on average instead of V.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.output.layer import softmax_log_probs
from asr_lm.lm.output.ranked import RankedOutput, by_frequency
from asr_lm.lm.sizes import OutputConfig


class ClassOutput(RankedOutput):
    """The factored softmax.

    Args:
        vocabulary_size: number of token ids.
        width: size of the hidden vector.
        classes: number of classes, at most ``vocabulary_size`` of them are used.

    Attributes:
        edges: class ``c`` holds the ranks ``edges[c]`` to ``edges[c + 1] - 1``; ``[classes + 1]``, kept like them.
        class_weight, class_bias: of p(c | h), ``[classes, width]`` and ``[classes]``.
        weight, bias: of p(w | c, h), by rank ``[vocabulary, width]`` and ``[vocabulary]``.
    """

    def __init__(self, vocabulary_size: int, width: int, classes: int) -> None:
        super().__init__(vocabulary_size)
        classes = min(classes, vocabulary_size)
        self.class_weight = nn.Parameter(torch.empty(classes, width).uniform_(-0.05, 0.05))
        self.class_bias = nn.Parameter(torch.zeros(classes))
        self.weight = nn.Parameter(torch.empty(vocabulary_size, width).uniform_(-0.05, 0.05))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.edges = nn.Parameter(torch.zeros(classes + 1, dtype=torch.int64), requires_grad=False)
        if not self.weight.is_meta:  # a network of shapes alone has no values
            self.prepare(torch.ones(vocabulary_size))

    @classmethod
    def from_config(cls, config: OutputConfig, width: int, tied: nn.Embedding | None) -> Self:
        """As :func:`~asr_lm.lm.output.layer.make_output`."""
        if tied is not None:
            raise InputError("a class output cannot be tied to the embedding", field="tied")
        return cls(config.vocabulary_size, width, config.classes)

    @torch.no_grad()
    def prepare(self, counts: Tensor) -> None:
        super().prepare(counts)
        self.edges.copy_(class_edges(counts[by_frequency(counts)].cpu(), len(self.class_bias)))

    def check(self) -> None:
        super().check()
        ends = (int(self.edges[0]), int(self.edges[-1]))
        if ends != (0, len(self.rank)) or bool((self.edges.diff() < 1).any()):
            raise InputError("these classes do not cut the tokens", field="edges")

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        word_class, member = self._place(targets)
        classes = nn.functional.linear(hidden, self.class_weight, self.class_bias)
        of_class = nn.functional.cross_entropy(classes.float(), word_class, reduction="none")
        # One product a class: the targets are put in the order of their classes and taken out of it again.
        order = word_class.argsort(stable=True)
        counts = torch.bincount(word_class, minlength=len(self.class_bias)).tolist()
        parts = zip(hidden[order].split(counts), member[order].split(counts), *self._words_of_classes(), strict=True)
        of_word = [
            nn.functional.cross_entropy(nn.functional.linear(rows, weight, bias).float(), chosen, reduction="none")
            for rows, chosen, weight, bias in parts
            if len(chosen)
        ]
        return of_class + torch.cat(of_word)[order.argsort()] if of_word else of_class

    @torch.no_grad()
    def log_probs(self, hidden: Tensor, context: Tensor, tokens: Tensor) -> Tensor:
        word_class, member = self._place(tokens)
        results = softmax_log_probs(hidden, context, word_class, self.class_weight, self.class_bias)
        order = word_class.argsort(stable=True)
        counts = torch.bincount(word_class, minlength=len(self.class_bias)).tolist()
        for queries, weight, bias in zip(order.split(counts), *self._words_of_classes(), strict=True):
            if len(queries):
                own = torch.arange(len(queries), device=hidden.device)
                results[queries] += softmax_log_probs(hidden[context[queries]], own, member[queries], weight, bias)
        return results

    def _place(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Class of each token and its number within the class, both ``[n]``."""
        rank = self.rank[tokens]
        word_class = torch.bucketize(rank, self.edges[1:], right=True)
        return word_class, rank - self.edges[word_class]

    def _words_of_classes(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Weights and biases of the words of each class."""
        # Split rather than sliced: the gradient of a slice is as large as the whole, that of a split is put together.
        sizes = self.edges.diff().tolist()
        return self.weight.split(sizes), self.bias.split(sizes)


def class_edges(counts: Tensor, classes: int) -> Tensor:
    """Where classes begin ``[classes + 1]`` among words sorted by falling ``counts [words]``.

    Each class holds about the same share of the counts, what rounding leaves over is the last one's, and at least one
    word.
    """
    words = len(counts)
    weights = counts.double() if counts.any() else torch.ones(words, dtype=torch.float64)
    share = weights.cumsum(0) / weights.sum()
    number = torch.arange(classes + 1)
    begins = torch.searchsorted(share, number.double() / classes - 1e-12)
    begins = (begins - number).cummax(0).values + number
    edges = torch.minimum(begins, words - classes + number)
    edges[0], edges[-1] = 0, words
    return edges
