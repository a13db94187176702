"""Models of what was said given what a recogniser heard: they score and write, each list from its own source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from asr_lm.errors import InputError
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens


@dataclass(frozen=True)
class Written:
    """A sentence found. Attributes: its tokens, without ``</s>``; its log-probability, ``</s>`` included (nats)."""

    tokens: Tokens
    log_prob: float


class ConditionalModel(LanguageModel):
    """A model of texts given the hypotheses of a list.

    Texts are normalised before they get here, as for every model.
    """

    @abstractmethod
    def sources(self, heard: Sequence[Sequence[str]]) -> list[Tokens]:
        """The source made of each list's hypotheses (at least one), the recogniser's first choice first."""

    @abstractmethod
    def log_probs_given(
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
    def write(self, sources: Sequence[Tokens], *, width: int, best: int = 1) -> list[list[Written]]:
        """The most probable sentences for each source, by beam search (:mod:`asr_lm.lm.scoring.beam_search`)."""

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        """Refused: without a list there is nothing to condition on.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"a model of family {self.family!r} scores hypotheses given what the recogniser heard: use it with "
            "rescore or compare"
        )
