"""What an encoder-decoder recogniser writes: texts with their log-probabilities, joined where sound was cut."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from asr_lm.acoustic.first_pass import ACOUSTIC
from asr_lm.hypotheses.utterance import Hypothesis

TOKENS = "tokens"

DECIMALS = 4


class Transcript(NamedTuple):
    """A text that was found.

    Attributes:
        text: with single spaces.
        log_prob: natural logarithm of its probability given the sound, its end included; of all token sequences found
            that are written so.
        tokens: of the best of these sequences, without its end.
        score: what the search ranks by, larger is better: the log-probability of the best sequence over a power of its
            length.
    """

    text: str
    log_prob: float
    tokens: int
    score: float

    @property
    def hypothesis(self) -> Hypothesis:
        """As it stands in a list."""
        return Hypothesis(self.text, {ACOUSTIC: round(self.log_prob, DECIMALS), TOKENS: float(self.tokens)})


def distinct(transcripts: Iterable[Transcript]) -> list[Transcript]:
    """Distinct texts, in the order of the search; the probabilities of the same text add up.

    >>> distinct([Transcript("late", -2.0, 2, -1.0), Transcript("late", -2.0, 1, -2.0)])[0].log_prob
    -1.3068528194400546
    """
    found: dict[str, Transcript] = {}
    for transcript in sorted(transcripts, key=lambda one: -one.score):
        known = found.setdefault(transcript.text, transcript)
        if known is not transcript:
            together = float(np.logaddexp(known.log_prob, transcript.log_prob))
            found[transcript.text] = known._replace(log_prob=together)
    return list(found.values())


def joined_windows(windows: Sequence[Sequence[Transcript]], count: int) -> list[Transcript]:
    """The best texts of sound that was cut into windows, each recognised by itself: best first, at most ``count``.

    A text takes one transcript of every window. Its log-probability and its number of tokens are the sums of theirs. So
    is its score, where a window weighs as much as its best transcript has tokens; the best of each window are the best
    together.

    Args:
        windows: transcripts of each window, best first; at least one window, and no window is empty.
        count: texts, at most.

    >>> early = [Transcript("late", -1.0, 1, -1.0), Transcript("lathe", -4.0, 2, -2.0)]
    >>> late = [Transcript("again", -3.0, 1, -3.0), Transcript("a gain", -7.0, 2, -3.5)]
    >>> [(one.text, one.log_prob, one.tokens) for one in joined_windows([early, late], 3)]
    [('late again', -4.0, 2), ('late a gain', -8.0, 3), ('lathe again', -7.0, 3)]
    """
    if len(windows) == 1:
        return list(windows[0][:count])
    found = _weighed(windows[0])
    for window in windows[1:]:
        pairs = (_sum(first, second) for first in found for second in _weighed(window))
        found = heapq.nlargest(count, pairs, key=lambda one: one.score)
    return distinct(found)


def _weighed(window: Sequence[Transcript]) -> list[Transcript]:
    weight = max(1, window[0].tokens)
    return [one._replace(score=one.score * weight) for one in window]


def _sum(first: Transcript, second: Transcript) -> Transcript:
    text = " ".join(part for part in (first.text, second.text) if part)
    return Transcript(text, first.log_prob + second.log_prob, first.tokens + second.tokens, first.score + second.score)
