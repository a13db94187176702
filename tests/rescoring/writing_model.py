"""A model of texts given a list whose scores and texts are worked out in the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.scoring.conditional import ConditionalModel, Written
from asr_lm.rescoring.scoring.conditional import scorer_for
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.text.vocabulary import WordVocabulary


class WritingModel(ConditionalModel):
    """Every word that the first hypothesis lacks costs four nats, ``</s>`` one nat a hypothesis heard.

    It writes what ``writes`` says of the first hypothesis, else that hypothesis.
    """

    family = "writing"

    def __init__(self, words: Sequence[str], writes: Mapping[str, Sequence[str]] = {}) -> None:
        self.vocabulary = WordVocabulary(words)
        self.normalizer = "librispeech"
        self._writes = writes
        self.asked = 0

    def sources(self, heard: Sequence[Sequence[str]]) -> list[Tokens]:
        found = []
        for some in heard:
            first = self.vocabulary.encode(some[0])
            found.append(np.append(first, -len(some)).astype(np.int32))
        return found

    def token_log_probs_given(
        self, sources: Sequence[Tokens], sentences: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[list[LogProbs]]:
        self.asked += len(sources)
        return [
            [np.append(np.where(np.isin(some, source[:-1]), 0.0, -4.0), float(source[-1])) for some in sentences_of]
            for source, sentences_of in zip(sources, sentences, strict=True)
        ]

    def next_log_probs_given(self, source: Tokens, prefixes: Sequence[Tokens]) -> LogProbs:
        raise NotImplementedError

    def write(self, sources: Sequence[Tokens], *, width: int, best: int = 1) -> list[list[Written]]:
        texts = [self.vocabulary.decode(source[:-1]) for source in sources]
        return [
            [
                Written(self.vocabulary.encode(text), -float(n))
                for n, text in enumerate(self._writes.get(heard, [heard]))
            ][:best]
            for heard in texts
        ]

    def fingerprint(self) -> str:
        return self.vocabulary.fingerprint() + repr(sorted(self._writes.items()))

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        return 0


def writing(words: Sequence[str], writes: Mapping[str, Sequence[str]] = {}, name: str = "writer") -> RescoringModel:
    """The model as a column."""
    return RescoringModel(name, Path(name), scorer_for(WritingModel(words, writes)))
