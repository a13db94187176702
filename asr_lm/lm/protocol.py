"""What every language model of this package can do.

A model turns token sequences into log-probabilities: natural logarithm, ``<s>`` given, ``</s>`` scored. Causal models
share the work of common prefixes (:mod:`asr_lm.hypotheses.prefix_tree`); models that see both sides score each
distinct sequence. A caller sees no difference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError

if TYPE_CHECKING:
    from asr_lm.text.vocabulary import Vocabulary

Tokens = NDArray[np.int32]
"""Token ids of one sentence ``[tokens]``, without ``<s>`` and ``</s>``."""

LogProbs = NDArray[np.float64]
"""Natural-log probabilities."""


class LanguageModel(ABC):
    """A language model over the tokens of one vocabulary.

    Attributes:
        family: name of the model family (``ngram``, ``lstm``, …).
        vocabulary: maps text to token ids.
        normalizer: name of the normaliser (:mod:`asr_lm.text.normalizer`) the training text went through; the
            pipeline applies it to hypotheses before encoding.
        context_rule: how the model reads the sentences before one: ``none`` if it does not, else the name of the way
            (scores of one model and text differ with it).
    """

    family: str
    vocabulary: Vocabulary
    normalizer: str

    @property
    def context_rule(self) -> str:
        return "none"

    @abstractmethod
    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        """Log-probability of every token of every sentence, ``</s>`` included.

        Args:
            sentences: token ids of each sentence ``[tokens]``; an empty sentence is legal.
            budget: most tree nodes (or padded tokens) in memory at once; None takes the model's default. The result
                does not depend on it.

        Returns:
            For each sentence an array ``[tokens + 1]``; its last entry is log p(``</s>`` | sentence).
        """

    def token_log_probs_after(
        self, sentences: Sequence[Tokens], contexts: Sequence[Sequence[Tokens]], budget: int | None = None
    ) -> list[LogProbs]:
        """As :meth:`token_log_probs`, each sentence after those that were said before it.

        Args:
            sentences: as there.
            contexts: for each sentence the sentences before it, the oldest first; none at a beginning. A model whose
                :attr:`context_rule` is ``none`` leaves them unread.
            budget: as there; sentences of contexts count too.
        """
        return self.token_log_probs(sentences, budget)

    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digest of everything the scores depend on: weights, vocabulary, normaliser."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model as a folder (``config.json``, weights, vocabulary) that :func:`asr_lm.lm.load` reads."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of free parameters (for an n-gram model: stored n-grams)."""

    @property
    def pseudo(self) -> bool:
        """Whether the scores are pseudo-log-likelihoods: each token given the others, on both of its sides.

        Such a score ranks hypotheses, but its exponentials do not sum to one over sentences, so that it compares with
        no other model's, nor its perplexity.
        """
        return False

    @property
    def causal(self) -> bool:
        """Whether every token is predicted from those before it alone: only then can models be mixed token by token."""
        return not self.pseudo

    def skip_normaliser(self) -> None:
        """From now on score without the sum over the vocabulary: quicker, and log-probabilities only nearly.

        Raises:
            InputError: the model was not trained for that.
        """
        raise InputError(f"a model of family {self.family!r} cannot leave out its normaliser", field="--unnormalised")

    def score(self, sentences: Sequence[Tokens], budget: int | None = None) -> LogProbs:
        """Log-probability of each whole sentence ``[sentences]``."""
        return np.array([values.sum() for values in self.token_log_probs(sentences, budget)], dtype=np.float64)
