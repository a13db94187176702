"""Log-probability of every word of chosen texts under each model, small enough for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.lm.protocol import Ranker, language_model
from asr_lm.lm.scoring.words import word_log_probs
from asr_lm.text.normalizer import get_normalizer

STEP = 0.05
"""Nats to which a word's log-probability is rounded: for colours, not for sums."""

FLOOR = -600.0
"""The least that is told apart, nats."""


@dataclass(frozen=True, eq=False)
class WordScores:
    """What one model says of the words of some texts.

    Attributes:
        words: the words of each text as the model reads them, space between; None where they are those of the text.
        values: log-probabilities in steps of :data:`STEP`, text after text, each with its ``</s>`` ``[words]``.
        lengths: words of each text, ``</s>`` included ``[texts]``.
    """

    words: list[str | None]
    values: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, model: Ranker, texts: Sequence[str], budget: int | None = None) -> WordScores:
        """Score texts word by word.

        Args:
            model: applies its own normaliser.
            texts: distinct ones, at least one.
            budget: see :meth:`~asr_lm.lm.protocol.LanguageModel.token_log_probs`.

        Raises:
            InputError: the model gives no probabilities, or the vocabulary cuts a sentence otherwise than its words.
        """
        model = language_model(model)
        normalize = get_normalizer(model.normalizer)
        read = [normalize(text) for text in texts]
        scored = model.token_log_probs(model.vocabulary.encode_batch(read), budget)
        values = [word_log_probs(model.vocabulary, text, tokens) for text, tokens in zip(read, scored, strict=True)]
        flat = np.concatenate(values)
        return cls(
            [None if text.split() == given.split() else text for text, given in zip(read, texts, strict=True)],
            np.rint(np.maximum(flat, FLOOR) / STEP).astype(np.int64),
            np.array([len(value) for value in values], dtype=np.int64),
        )
