"""Whether a model knows the words of a list at all: the packaged weights are for one that does."""

from __future__ import annotations

from collections.abc import Sequence

from asr_lm.lm.protocol import Ranker
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.scoring.vocabulary_fit import UNKNOWN_ERROR
from asr_lm.text.normalizer import get_normalizer

LETTER_PAIRS = 2.30
"""Nats a letter, white space counted, with which a table of letter pairs predicts English: the 3.32 bits of F2 in
Shannon 1951, "Prediction and entropy of printed English". The packaged model needs 1.2 to 1.6 for the words of seven
recognisers' English lists and 1.9 for these in random order; it needs 2.7 for Spanish, 2.8 for French, 3.2 for German,
3.5 for Finnish and Turkish and 3.7 for Polish, whose words it can only spell."""

FEWEST_LETTERS = 300
"""Letters from which on that is judged: English names alone may cost as much."""

_LAST_LATIN = "\u024f"


def is_familiar(model: Ranker, texts: Sequence[str], log_prob: Values, unknown: float) -> bool:
    """Whether a model knows more of the words than how they are spelled.

    One with a closed vocabulary is judged by unknown words alone; an open one by what it charges for Latin letters,
    too. Those of other scripts were not measured.

    Args:
        model: gives vocabulary and normaliser.
        texts: what was heard.
        log_prob: of the texts under the model, natural logarithm ``[texts]``.
        unknown: share of the words that are unknown to it.
    """
    if unknown > UNKNOWN_ERROR:
        return False
    if not model.vocabulary.is_open:
        return True
    normalized = list(map(get_normalizer(model.normalizer), texts))
    letters = sum(map(len, normalized)) + len(normalized)
    latin = sum(character <= _LAST_LATIN for text in normalized for character in text) + len(normalized)
    return letters < FEWEST_LETTERS or 2 * latin < letters or -float(log_prob.sum()) <= LETTER_PAIRS * letters
