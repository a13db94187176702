"""A back-off model as sorted arrays, and its scores for many tokens at once.

An n-gram is the row of its first n-1 words in the table of order n-1, and its last word. Both make one number, its key,
and the keys of a table are sorted, so that all n-grams that any number of tokens could end are found by one binary
search an order. There is no state to be carried from token to token: what the back-off recursion asks of the tokens
before one is which n-grams end there, and that is known for all tokens once the order below is done.

The recursion (Katz, *Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech
Recognizer*, 1987, as the ARPA format writes it down): p(w | h) is that of the n-gram *hw* where the model has it, else
the back-off weight of *h* (1 where the model has no *h*) times p(w | *h* without its first word).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from asr_lm.text.vocabulary import BOS, EOS, UNK

ZERO = -99.0
"""log10 of what SRILM writes for probability 0."""

_UNK_SPELLINGS = (UNK, "<UNK>")

Rows = NDArray[np.integer]
"""Rows of a table; -1 for an n-gram that the model does not have."""

Log10 = NDArray[np.float64]


@dataclass(frozen=True)
class OrderTable:
    """The n-grams of one order, in order of their keys.

    Attributes:
        keys: row of the first n-1 words in the table below times the number of words, plus the number of the last word
            ``[ngrams]``, ascending; None for unigrams, whose row is the word's number.
        log10_prob: of the last word given the words before it ``[ngrams]``.
        log10_backoff: of the back-off weight of the n-gram as a context ``[ngrams]``; None in the highest order.
    """

    keys: NDArray[np.int64] | None
    log10_prob: NDArray[np.float32]
    log10_backoff: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.log10_prob)

    def find(self, keys: NDArray[np.int64]) -> Rows:
        """Rows of keys ``[n]``."""
        if self.keys is None or not len(self.keys):
            return np.full(len(keys), -1)
        rows = np.searchsorted(self.keys, keys)
        found = self.keys[np.minimum(rows, len(self.keys) - 1)] == keys
        return np.where(found, rows, -1)


@dataclass(frozen=True)
class NgramArrays:
    """A back-off model.

    Attributes:
        words: of the unigrams, in their order.
        tables: n-grams of order 1, 2, ….
    """

    words: Sequence[str]
    tables: tuple[OrderTable, ...]

    @property
    def order(self) -> int:
        return len(self.tables)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of n-grams of order 1, 2, …."""
        return tuple(map(len, self.tables))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of every word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def unknown(self) -> int:
        """Number of ``<unk>``; -1 where the vocabulary is closed.

        It is where the file has no ``<unk>``, or gives it probability 0.
        """
        number = next((self.numbers[word] for word in _UNK_SPELLINGS if word in self.numbers), -1)
        return -1 if number < 0 or self.tables[0].log10_prob[number] <= ZERO else number

    def knows(self, word: str) -> bool:
        """Whether a word has a probability of its own."""
        return word in self.numbers and word not in _UNK_SPELLINGS

    def predicted(self, word: str) -> int:
        """Number of what is looked up where a word is to be predicted; -1 for what has no probability.

        ``<s>`` is never predicted: it is an unknown word. A model without ``</s>`` says nothing of a sentence's end.
        """
        if word == EOS:
            return self.numbers.get(EOS, -1)
        return self.numbers[word] if word != BOS and self.knows(word) else self.unknown

    @property
    def start(self) -> int:
        """Number of ``<s>``; -1 where the model has none."""
        return self.numbers.get(BOS, -1)

    def tree_log10(self, parents: Rows, words: Rows) -> Log10:
        """log10 p(word | ancestors) of every node of a prefix tree.

        Args:
            parents: of every node ``[nodes]``; node 0 is ``<s>``, whose entry is not read.
            words: number of every node's word ``[nodes]``, -1 for one without probability.

        Returns:
            ``[nodes]``; 0 for node 0 and for a word without probability.
        """
        words = np.concatenate([[self.start], words[1:]])
        parents = np.concatenate([[0], parents[1:]])

        def contexts(order: int, rows: list[Rows]) -> Rows:
            found = rows[order - 1][parents]
            found[0] = -1
            return found

        log10, _ = self._predict(words, contexts)
        log10[0] = 0
        return log10

    def first_state(self) -> Rows:
        """The state after ``<s>``: rows of the n-grams of order 1, 2, … that end there ``[order - 1]``."""
        return np.array([self.start] + [-1] * self.order, dtype=np.int64)[: self.order - 1]

    def follow(self, states: Rows, words: Rows) -> tuple[Log10, Rows]:
        """Go on from states.

        Args:
            states: rows of the n-grams that end there ``[n, order - 1]``.
            words: numbers of the words that come ``[n]``, -1 for one without probability.

        Returns:
            log10 p(word | state), 0 for a word without probability ``[n]``, and the states then ``[n, order - 1]``.
        """
        log10, rows = self._predict(words, lambda order, _: states[:, order - 1])
        return log10, np.stack(rows, axis=1)[:, : self.order - 1]

    def _predict(self, words: Rows, contexts: Callable[[int, list[Rows]], Rows]) -> tuple[Log10, list[Rows]]:
        """log10 probability of words, and the rows of the n-grams of order 1, 2, … that end in them.

        Args:
            words: numbers ``[n]``.
            contexts: given an order and the rows of that and of lower orders, which n-grams of it end before the words
                ``[n]``.
        """
        known = words >= 0
        log10 = np.where(known, self.tables[0].log10_prob[words], 0).astype(np.float64)
        rows = [words]
        for order, table in enumerate(self.tables[1:], 1):
            before = contexts(order, rows)
            asked = np.flatnonzero((before >= 0) & known)
            context = before[asked]
            found = table.find(context * np.int64(len(self.words)) + words[asked])
            weights = self.tables[order - 1].log10_backoff
            backed_off = log10[asked] + (0 if weights is None else weights[context])
            log10[asked] = np.where(found >= 0, table.log10_prob[found] if len(table) else 0, backed_off)
            ending = np.full(len(words), -1, dtype=np.int64)
            ending[asked] = found
            rows.append(ending)
        return log10, rows
