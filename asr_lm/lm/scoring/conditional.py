"""Models of what was said given what a recogniser heard: they score and write, each list from its own source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.protocol import LogProbs, Ranker, Tokens, no_probabilities


@dataclass(frozen=True)
class Written:
    """A sentence found. Attributes: its tokens, without ``</s>``; its log-probability, ``</s>`` included (nats)."""

    tokens: Tokens
    log_prob: float


class ConditionalModel(Ranker):
    """A model of texts given the hypotheses of a list.

    Texts are normalised before they get here, as for every model.
    """

    without_probabilities = "scores hypotheses given what the recogniser heard"

    @abstractmethod
    def sources(self, heard: Sequence[Sequence[str]]) -> list[Tokens]:
        """The source made of each list's hypotheses (at least one), the recogniser's first choice first."""

    @abstractmethod
    def token_log_probs_given(
        self, sources: Sequence[Tokens], sentences: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[list[LogProbs]]:
        """Log-probability of every token of the sentences of each source, ``</s>`` included.

        Args:
            sources: from :meth:`sources`.
            sentences: for each source the token ids of the sentences to score, at least one.
            budget: most tokens of sources and sentences together in memory at once, padding included; None takes the
                model's default. The result does not depend on it.

        Returns:
            For each source and sentence an array ``[tokens + 1]``.
        """

    @abstractmethod
    def next_log_probs_given(self, source: Tokens, prefixes: Sequence[Tokens]) -> LogProbs:
        """Log-probability of every token after each prefix of what was said ``[prefixes, vocabulary]``.

        Args:
            source: from :meth:`sources`.
            prefixes: token ids of each, ``<s>`` not among them; an empty one is legal.
        """

    @abstractmethod
    def write(self, sources: Sequence[Tokens], *, width: int, best: int = 1) -> list[list[Written]]:
        """The most probable sentences for each source, by beam search (:mod:`asr_lm.lm.scoring.beam_search`)."""

    def score_tokens(
        self,
        sentences: Sequence[Tokens],
        contexts: Sequence[Sequence[Tokens]] | None = None,
        budget: int | None = None,
    ) -> LogProbs:
        """Refused: without a list there is nothing to condition on.

        Raises:
            InputError: always.
        """
        raise no_probabilities(self)


class AttentiveModel(ConditionalModel):
    """A conditional model that says what it looked at."""

    @abstractmethod
    def source_hypotheses(self, heard: Sequence[str]) -> list[str]:
        """The hypotheses that the source of a list is made of, in order."""

    @abstractmethod
    def alignments(self, source: Tokens, sentence: Tokens) -> NDArray[np.float64]:
        """How much each source token mattered to each token of a sentence, ``</s>`` included
        ``[tokens + 1, source tokens]``; every row sums to one."""
