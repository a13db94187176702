"""How an n-gram model scores the tokens of a vocabulary, whatever reads its file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.ngrams.arrays import NgramArrays, Rows
from asr_lm.lm.protocol import LogProbs
from asr_lm.text.vocabulary import Vocabulary

LN_10 = math.log(10)


class NgramScorer(ABC):
    """Log-probabilities of a vocabulary's tokens.

    A token that the model does not know costs what ``<unk>`` costs, and a predicted ``<s>``, too. Where the model has
    no ``<unk>`` (or one of probability 0), it says nothing of such a token: the entry is 0, and what an unknown word
    costs is left to the weight of the count of unknown words.

    Attributes:
        order: length of the longest n-grams.
        charges_unknown: whether unknown words have a probability.
    """

    order: int
    charges_unknown: bool

    @abstractmethod
    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        """Log p(token | ancestors) of every node ``[nodes]``; that of node 0 is 0."""

    @abstractmethod
    def has_probability(self) -> NDArray[np.bool_]:
        """Whether the model says anything of each token of the vocabulary ``[vocabulary]``."""

    @abstractmethod
    def first_state(self) -> Hashable:
        """The state after ``<s>``; equal states are followed by equal probabilities."""

    @abstractmethod
    def next_states(self, states: Sequence[Any], tokens: Sequence[int]) -> tuple[LogProbs, Sequence[Any]]:
        """Log p(token | state) of pairs, and the states after the tokens, both ``[n]``."""


class ArrayScorer(NgramScorer):
    """A model in arrays: all nodes of a tree together, order by order."""

    def __init__(self, arrays: NgramArrays, vocabulary: Vocabulary) -> None:
        self._arrays, self._vocabulary = arrays, vocabulary
        self.order = arrays.order
        self.charges_unknown = arrays.unknown >= 0
        self._numbers = np.zeros(0, dtype=np.int64)

    def node_log_probs(self, tree: PrefixTree) -> LogProbs:
        return self._arrays.tree_log10(tree.parent, self._predicted(tree.token)) * LN_10

    def has_probability(self) -> NDArray[np.bool_]:
        return self._predicted(np.arange(self._vocabulary.size)) >= 0

    def first_state(self) -> tuple[int, ...]:
        return tuple(self._arrays.first_state().tolist())

    def next_states(
        self, states: Sequence[tuple[int, ...]], tokens: Sequence[int]
    ) -> tuple[LogProbs, Sequence[tuple[int, ...]]]:
        before = np.array(states, dtype=np.int64).reshape(len(states), self.order - 1)
        log10, after = self._arrays.follow(before, self._predicted(np.array(tokens, dtype=np.int64)))
        return log10 * LN_10, list(map(tuple, after.tolist()))

    def _predicted(self, tokens: Rows) -> Rows:
        """Numbers of the words that tokens are to the model."""
        known = self._vocabulary.tokens
        if len(known) > len(self._numbers):  # an open vocabulary grows
            new = [self._arrays.predicted(word) for word in known[len(self._numbers) :]]
            self._numbers = np.append(self._numbers, np.array(new, dtype=np.int64))
        return self._numbers[tokens]
