"""The n-gram model of a first pass: exact scores of the texts a search found, and word by word of a lattice."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.families.ngram import NgramModel

_LN_10 = math.log(10)

UNKNOWN = -100 * _LN_10
"""What an unknown word costs (nats) where the model has no probability for it: what the search charges, too."""

_REMEMBERED = 1 << 18


class FirstPassLm:
    """An n-gram model as a first pass asks it."""

    def __init__(self, file: Path) -> None:
        """Load an ARPA or KenLM binary file.

        Raises:
            InputError: missing or damaged; a KenLM binary file without KenLM's module.
        """
        self._model = NgramModel(file, None, "as-is")
        self._unknown = 0.0 if self._model.charges_unknown else UNKNOWN
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._follow)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Natural-log probability of each text, ``</s>`` included ``[texts]``."""
        vocabulary = self._model.vocabulary
        scores = self._model.score_tokens(vocabulary.encode_batch(texts)).tolist()
        if not self._unknown:
            return list(scores)
        return [
            score + self._unknown * vocabulary.unknown_words(text) for score, text in zip(scores, texts, strict=True)
        ]

    def numbers(self, words: Sequence[str]) -> list[int]:
        """The number of each word in the model's vocabulary."""
        return [int(number) for (number,) in self._model.vocabulary.encode_batch(words)]

    def extend(self, states: Sequence[Hashable], numbers: Sequence[int]) -> tuple[NDArray[np.float64], list[Hashable]]:
        """Log p(word | state) of words by number, and the states after them, both ``[n]``."""
        log_probs, after = self._model.next_states(states, numbers)
        unknown = np.array(numbers, dtype=np.int64) == self._model.vocabulary.unk_id
        return log_probs + np.where(unknown, self._unknown, 0.0), list(after)

    def first_state(self) -> Hashable:
        """The state before the first word; equal states are followed by equal probabilities."""
        return self._model.first_state()

    def next(self, state: Hashable, word: str) -> tuple[Hashable, float]:
        """The state after a word, and log p(word | state)."""
        (token,) = self._model.vocabulary.encode(word).tolist()
        following, log_prob = self._remembered(state, token)
        return following, log_prob + (self._unknown if token == self._model.vocabulary.unk_id else 0.0)

    def end(self, state: Hashable) -> float:
        """Log p(``</s>`` | state)."""
        return self._remembered(state, self._model.vocabulary.eos_id)[1]

    def _follow(self, state: Hashable, token: int) -> tuple[Hashable, float]:
        (log_prob,), (following,) = self._model.next_states([state], [token])
        return following, float(log_prob)


class LabelNgrams:
    """An n-gram model as a search asks it: of labels, which stand for words or tokens; scores are in base 10.

    torchaudio's search takes them as KenLM gives them, and so do we: a weight means the same to either.
    """

    def __init__(self, lm: FirstPassLm, texts: Sequence[str]) -> None:
        """Args: lm: the model. texts: word or token of every label."""
        self._lm, self._numbers = lm, lm.numbers(texts)
        self._known: dict[tuple[Hashable, int], tuple[float, Hashable]] = {}

    def first_state(self) -> Hashable:
        return self._lm.first_state()

    def first_scores(self) -> NDArray[np.float64]:
        """The score of each label as the first one ``[labels]``."""
        states = [self.first_state()] * len(self._numbers)
        return self._lm.extend(states, self._numbers)[0] / _LN_10

    def extend(self, states: Sequence[Hashable], labels: Sequence[int]) -> tuple[Sequence[float], list[Hashable]]:
        pairs = [*zip(states, labels, strict=True)]
        new = [pair for pair in pairs if pair not in self._known]
        if new:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
                new = pairs
            numbers = [self._numbers[label] for _, label in new]
            scores, after = self._lm.extend([state for state, _ in new], numbers)
            self._known.update(zip(new, zip((scores / _LN_10).tolist(), after, strict=True), strict=True))
        found = [self._known[pair] for pair in pairs]
        return [score for score, _ in found], [state for _, state in found]

    def end(self, state: Hashable) -> float:
        return self._lm.end(state) / _LN_10
