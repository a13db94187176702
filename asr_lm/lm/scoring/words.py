"""From tokens to words: what models over different tokens can be compared and mixed by."""

from __future__ import annotations

import numpy as np

from asr_lm.errors import InputError
from asr_lm.lm.protocol import LogProbs
from asr_lm.text.vocabulary import Vocabulary


def word_log_probs(vocabulary: Vocabulary, text: str, values: LogProbs) -> LogProbs:
    """Log-probability of every word of ``text``, ``</s>`` a word of its own ``[words + 1]``.

    That of a word is the sum over its tokens.

    Args:
        vocabulary: of the tokens.
        text: normalised.
        values: log-probability of every token of ``text``, and of ``</s>`` ``[tokens + 1]``.

    A word of which the vocabulary leaves nothing costs nothing; it counts as unknown.

    Raises:
        InputError: the words taken one by one have another number of tokens than the sentence.
    """
    lengths = np.array([*vocabulary.word_lengths(text), 1], dtype=np.int64)
    if int(lengths.sum()) != len(values):
        raise InputError(f"the vocabulary cuts {text!r} differently as a sentence and word by word")
    sums: LogProbs = np.add.reduceat(values, np.cumsum(lengths) - lengths)
    return np.where(lengths > 0, sums, 0.0)
