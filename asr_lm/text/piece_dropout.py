"""BPE-dropout: a text in other pieces at every reading (Provilkov, Emelianenko, Voita, ACL 2020).

Byte pair encoding joins two neighbouring pieces at a time, those that were joined first in its training before others,
until none can be joined. In the training of a network each joining that is possible in a step is left out with some
probability (algorithm 1 there). So the network meets words in smaller pieces now and then, and learns how they are
spelt; a word that it has never seen is read by its parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from asr_lm.errors import InputError
from asr_lm.text.vocabulary import SPACE, Tokens, Vocabulary

DROPPED = 0.1
"""What the authors take for languages that are written in letters."""

_AT_A_TIME = 256


class PieceDropout:
    """Byte pair encoding that leaves joinings out.

    Args:
        vocabulary: SentencePiece pieces of byte pair encoding.
        share: probability that a joining is left out in a step; 0 gives the pieces of the vocabulary itself, 1 letters.

    Raises:
        InputError: another vocabulary, or no share.
    """

    def __init__(self, vocabulary: Vocabulary, share: float) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"expected a share from 0 to 1, not {share}", parameter="piece_dropout")
        ranks = vocabulary.ranks()
        if ranks is None:
            raise InputError(
                "joinings are left out of byte pair encoding alone; give the vocabulary bpe, or 0 for none",
                parameter="piece_dropout",
            )
        self._vocabulary, self._share, self._ranks = vocabulary, share, ranks
        self._ids = {token: index for index, token in enumerate(vocabulary.tokens)}

    def encode(self, text: str, random: np.random.Generator) -> Tokens:
        """Token ids of a normalised text."""
        numbers = _endless(random)
        words = text.replace(SPACE, " ").split()
        return np.array([index for word in words for index in self._word(word, numbers)], dtype=np.int32)

    def _word(self, word: str, numbers: Iterator[float]) -> Sequence[int]:
        pieces = [*f"{SPACE}{word}"]
        if any(piece not in self._ranks for piece in pieces):  # spelt in bytes, or unknown
            whole: list[int] = self._vocabulary.encode(word).tolist()
            return whole
        while (place := self._next(pieces, numbers)) is not None:
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return [self._ids[piece] for piece in pieces]

    def _next(self, pieces: Sequence[str], numbers: Iterator[float]) -> int | None:
        """Where two pieces are joined next; None where none can be, or all are left out."""
        best, lowest = None, math.inf
        for place, (one, other) in enumerate(pairwise(pieces)):
            rank = self._ranks.get(one + other)
            if rank is not None and next(numbers) >= self._share and rank < lowest:
                best, lowest = place, rank
        return best


def _endless(random: np.random.Generator) -> Iterator[float]:
    """Numbers from 0 to 1, drawn many at a time: one at a time takes as long as all else."""
    while True:
        yield from random.random(_AT_A_TIME).tolist()
