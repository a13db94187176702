"""N-best lists from CTC emissions: a beam search, every text that it found scored exactly.

Token sequences that join to the same text are one hypothesis, and their probabilities add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor

from asr_lm.acoustic.beam_search import BeamSearch, Reading, cuda_search, prefix_search
from asr_lm.acoustic.ctc import word_times
from asr_lm.acoustic.exact_scores import ExactScores, Found
from asr_lm.acoustic.first_pass_lm import FirstPassLm
from asr_lm.acoustic.flashlight_search import flashlight_search
from asr_lm.acoustic.lexicon import Lexicon
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis

DECIMALS = 3
ACOUSTIC, LM = "acoustic", "lm"
_ROWS_TOGETHER, _MOST_TOGETHER, _TOKENS_TOGETHER = 800, 16, 4_000
"""Hypotheses that keep NumPy busy; utterances that may wait for others, and their tokens, which fill the memory."""
_WIDE = 400
"""A beam that gains next to nothing from a second utterance, whose emissions would be held for it."""


@dataclass
class FirstPass:
    """A beam search over the words of a lexicon, or over tokens, perhaps with an n-gram model.

    Attributes:
        tokens: of the recogniser.
        lexicon: None lets the search spell what it likes; the language model is then one of tokens.
        lm: an n-gram model in an ARPA or KenLM binary file.
        search: how it goes.
        gpu: where to search with ``cuda_ctc_decoder``, which takes neither lexicon nor language model.
        flashlight: search with torchaudio's ``ctc_decoder`` in place of our own search.

    Raises:
        InputError: the language model cannot be read, or the search on a GPU cannot do what is asked.
    """

    tokens: Tokens
    lexicon: Lexicon | None = None
    lm: Path | None = None
    search: BeamOptions = field(default_factory=BeamOptions)
    gpu: str | None = None
    flashlight: bool = False

    def __post_init__(self) -> None:
        if self.gpu is not None and (self.lexicon is not None or self.lm is not None):
            raise InputError("the search on a GPU takes neither a lexicon nor a language model")
        self.ngram = FirstPassLm(self.lm) if self.lm else None
        self._exact = ExactScores(self.tokens, self.lexicon, self.ngram, self.search)
        self._run = self._search()

    def _search(self) -> BeamSearch:
        if self.gpu is not None:
            return cuda_search(self.tokens, self.search, self.gpu)
        if self.flashlight:
            return flashlight_search(self.tokens, self.lexicon, self.lm, self.search)
        return prefix_search(self.tokens, self.lexicon, self.ngram, self.search)

    @property
    def together(self) -> int:
        """How many utterances are best searched together: narrow beams leave little to do for one alone."""
        if self.gpu is not None or self.flashlight or self.search.beam >= _WIDE:
            return 1
        most = min(_MOST_TOGETHER, _ROWS_TOGETHER // self.search.beam, _TOKENS_TOGETHER // len(self.tokens))
        return max(1, most)

    def readings(self, emissions: Sequence[Tensor]) -> list[list[Reading]]:
        """What the beam of each utterance holds, best first; emissions ``[frames, tokens]`` float32."""
        return self._run(emissions)

    def texts(self, emissions: Tensor, readings: Sequence[Reading] | None = None) -> list[Found]:
        """All distinct texts of the beam, best first.

        The empty text is among them, whether or not the search can find it, unless it is worse than the best by more
        than the threshold of the search.

        Args:
            emissions: ``[frames, tokens]`` float32.
            readings: what the search found in them; None lets it search.
        """
        if readings is None:
            (readings,) = self.readings([emissions])
        found = self.scored(emissions, [*readings, ((), ())])
        least = max(one.total for one in found) - self.search.threshold
        found = [one for one in found if one.text or one.total >= least]
        if self.search.order == "search":
            return found
        return sorted(found, key=lambda one: (one.total, one.text), reverse=True)

    def scored(self, emissions: Tensor, readings: Iterable[Reading]) -> list[Found]:
        """Readings as texts with their scores, in their order; those that need more frames than there are left out."""
        return self._exact.of(emissions, readings)


def as_hypotheses(
    found: Iterable[Found], emissions: Tensor, tokens: Tokens, frame_seconds: float | None
) -> tuple[Hypothesis, ...]:
    """Texts as hypotheses: scores rounded to three decimals, word times where the length of a frame is given.

    Texts without spaces have the times of their characters.

    Raises:
        InputError: a score is not finite.
    """
    found, listed = list(found), []
    times: list[Any] = [None] * len(found)
    if frame_seconds is not None:
        times = word_times(emissions, [tokens.units(one.spelt) for one in found], tokens, frame_seconds)
    for one, timed in zip(found, times, strict=True):
        scores = {ACOUSTIC: round(one.acoustic, DECIMALS)}
        if one.lm is not None:
            scores[LM] = round(one.lm, DECIMALS)
        if not all(map(math.isfinite, scores.values())):
            raise InputError(f"{one.text!r} has scores {scores}")
        listed.append(Hypothesis(one.text, scores, times=timed))
    return tuple(listed)


def lowered(hypotheses: Iterable[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Hypotheses in lower case; of those that are then the same the first stays."""
    found: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        text = hypothesis.text.lower()
        found.setdefault(text, msgspec.structs.replace(hypothesis, text=text))
    return tuple(found.values())
