"""The n-gram model of a first pass: exact scores of the texts a search found, and word by word of a lattice."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path

from asr_lm.lm.families.ngram import NgramModel

UNKNOWN = -100 * math.log(10)
"""What an unknown word costs (nats) where the model has no probability for it: what the search charges, too."""

_REMEMBERED = 1 << 16


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
