"""A language model whose scores are worked out in the head, and lists for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.scorer import ScoreCache, Scorer
from asr_lm.text.vocabulary import Vocabulary, WordVocabulary


class CountingModel(LanguageModel):
    """Every token costs one nat, or what ``costs`` says of its word, and ``</s>`` nothing."""

    family = "counting"

    def __init__(
        self,
        words: Iterable[str],
        normalizer: str = "as-is",
        is_open: bool = False,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        self.vocabulary: Vocabulary = OpenVocabulary(words) if is_open else WordVocabulary(words)
        self.normalizer = normalizer
        self._costs = np.array([(costs or {}).get(word, 1.0) for word in self.vocabulary.tokens])

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        return [np.append(-self._costs[sentence], 0.0) for sentence in sentences]

    def fingerprint(self) -> str:
        return self.vocabulary.fingerprint() + self._costs.tobytes().hex()

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        return 0


class OpenVocabulary(WordVocabulary):
    """Says that it knows every word."""

    is_open = True

    def unknown_words(self, text: str) -> int:
        return 0


def counting(
    name: str = "counting",
    words: Iterable[str] = ("a", "b"),
    normalizer: str = "as-is",
    is_open: bool = False,
    costs: Mapping[str, float] | None = None,
    cache: ScoreCache | None = None,
) -> RescoringModel:
    """The model as a column."""
    return RescoringModel(name, Path(name), Scorer(CountingModel(words, normalizer, is_open, costs), cache))


def listed(*texts: Sequence[str], references: Sequence[str | None] = (), **scores: float) -> list[Utterance]:
    """A list with these hypotheses, all of them with the same scores."""
    spoken = references or [None] * len(texts)
    return [
        Utterance(f"u{number}", tuple(Hypothesis(text, scores) for text in some), reference)
        for number, (some, reference) in enumerate(zip(texts, spoken, strict=True))
    ]
