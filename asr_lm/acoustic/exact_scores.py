"""Exact scores of texts: what a recogniser's emissions and the n-gram model of its first pass say of them.

Spellings of the same words are one text, and their probabilities add up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from asr_lm.acoustic.beam_search import Reading
from asr_lm.acoustic.ctc import forward_scores
from asr_lm.acoustic.first_pass_lm import FirstPassLm
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Spelt, Tokens

_MOST_SPELLINGS = 64


class Found(NamedTuple):
    """A text the search found.

    Attributes:
        text: its words joined.
        words: its words; where a text without spaces was cut in several ways, the likeliest one's.
        spelt: the likeliest spelling of these words.
        acoustic: natural-log CTC probability of the words, all alignments of all their spellings summed, with as many
            word ends as may be; where the lexicon spells a text in more than 64 ways, of the spellings found.
        lm: natural-log probability under the language model; None without one.
        total: what the list is ordered by.
    """

    text: str
    words: tuple[str, ...]
    spelt: Spelt
    acoustic: float
    lm: float | None
    total: float


@dataclass
class ExactScores:
    """Scores of texts.

    Attributes:
        tokens: of the recogniser.
        lexicon: spellings of words; None lets each reading count as it is spelt, and the language model is one of
            tokens.
        lm: an n-gram model.
        search: what the language model and words weigh, where that chooses between readings of one text.
    """

    tokens: Tokens
    lexicon: Lexicon | None = None
    lm: FirstPassLm | None = None
    search: BeamOptions = field(default_factory=BeamOptions)

    def __post_init__(self) -> None:
        self._spellings = {} if self.lexicon is None else self.lexicon.numbered(self.tokens)

    def of(self, emissions: Tensor, readings: Iterable[Reading]) -> list[Found]:
        """Readings as texts with their scores, in their order; those that need more frames than there are left out."""
        readings = list(dict.fromkeys(way for reading in readings for way in self._respelt(reading)))
        sequences = {tuple(self.tokens.sequence(spelt)): spelt for _, spelt in readings}
        scores = dict(zip(sequences, forward_scores(emissions, [*sequences.values()], self.tokens), strict=True))
        of_text: dict[str, list[tuple[float, Reading]]] = {}
        for reading in readings:
            score = scores[tuple(self.tokens.sequence(reading[1]))]
            if math.isfinite(score):
                of_text.setdefault(self.tokens.text(reading[0]), []).append((score, reading))
        lm = self._lm_scores(readings)
        return [self._found(text, each, lm) for text, each in of_text.items()]

    def _respelt(self, reading: Reading) -> Iterable[Reading]:
        """Every way in which the lexicon spells the words of a reading, if there are not too many."""
        words, spelt = reading
        ways = [self._spellings.get(word, [found]) for word, found in zip(words, spelt, strict=True)]
        if math.prod(map(len, ways)) > _MOST_SPELLINGS:
            return [reading]
        return [(words, way) for way in itertools.product(*ways)]

    def _found(self, text: str, readings: list[tuple[float, Reading]], lm: dict[Reading, float]) -> Found:
        # Words of a text without spaces may be cut in several ways and be one token sequence all the same.
        by_tokens = {tuple(self.tokens.sequence(spelt)): score for score, (_, spelt) in readings}
        top = max(by_tokens.values())
        acoustic = top + math.log(math.fsum(math.exp(score - top) for score in by_tokens.values()))
        # What the language model and the number of words add to the acoustic score.
        extra = {
            reading: self.search.lm_weight * lm.get(reading, 0.0) + self.search.word_score * len(reading[0])
            for _, reading in readings
        }
        reading = max(readings, key=lambda one: (one[0] + extra[one[1]], one[1]))[1]
        return Found(text, *reading, acoustic, lm.get(reading), acoustic + extra[reading])

    def _lm_scores(self, readings: Sequence[Reading]) -> dict[Reading, float]:
        """What the language model says of each reading; nothing without one."""
        if self.lm is None:
            return {}
        texts = self.tokens.texts
        read = [
            words if self.lexicon is not None else [texts[number] for number in self.tokens.sequence(spelt)]
            for words, spelt in readings
        ]
        return dict(zip(readings, self.lm.scores([" ".join(each) for each in read]), strict=True))
