"""How much of an error rate is casing, punctuation and spelling, which no second pass is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asr_lm.evaluation.spread_sample import SpreadSample
from asr_lm.evaluation.word_errors import ErrorCounts, Unit, count_errors
from asr_lm.text.lost_letters import fitting_normalizer
from asr_lm.text.normalizer import NormalizerName, get_normalizer

LARGE = 1.0
"""Percentage points that make a difference large."""

_ENGLISH_GAIN = 0.1
"""Percentage points that the English normaliser must save more than ``unicode``, which holds for any language."""

_FEW_WORDS = 1.2
"""Words a sentence, at most, where none are written apart."""

MOST = 2000
"""Utterances looked at, spread over the list: the English normaliser takes a millisecond for some."""


@dataclass(frozen=True)
class NormalizedRate:
    """An error rate with and without another normaliser.

    Attributes:
        normalizer: name of the other one.
        rate: with it, in percent; plain: without it.
        utterances: how many were looked at.
    """

    normalizer: NormalizerName
    rate: float
    plain: float
    utterances: int

    def to_json(self) -> dict[str, Any]:
        """As the commands write it."""
        return {"normalizer": self.normalizer, "rate": self.rate, "plain": self.plain, "utterances": self.utterances}


def normalized_rate(
    references: Sequence[str | None], hypotheses: Sequence[str], unit: Unit = "word", normalizer: str = "as-is"
) -> NormalizedRate | None:
    """The error rate that a normaliser for the texts would give; None where it is about what it is without.

    Args:
        references: what was said ``[utterances]``; None where it is not known.
        hypotheses: what was heard ``[utterances]``.
        unit: what is counted.
        normalizer: name of the normaliser that the errors are counted with.
    """
    known = [(said, heard) for said, heard in zip(references, hypotheses, strict=True) if said is not None]
    sample: SpreadSample[tuple[str, str]] = SpreadSample(MOST)
    sample.extend(known)
    known = sample.items
    if (plain := _rate(known, normalizer, unit)) is None:
        return None
    rates = {name: _rate(known, name, unit) for name in _fitting(known) if name != normalizer}
    found: NormalizedRate | None = None
    for name, rate in rates.items():
        if rate is not None and rate < (plain - LARGE if found is None else found.rate - _ENGLISH_GAIN):
            found = NormalizedRate(name, rate, plain, len(known))
    return found


def _fitting(texts: Sequence[tuple[str, str]]) -> tuple[NormalizerName, ...]:
    """The normalisers for the script of texts, that for any language first.

    To count characters in place of words is another measure, so it is one only for texts that have no words.
    """
    letters = "".join(letter for said, _ in texts[:50] for letter in said if letter.isalnum())
    if fitting_normalizer(letters) != "chinese":
        return "unicode", "english"
    words = sum(len(said.split()) for said, _ in texts)
    return ("unicode",) if words > _FEW_WORDS * len(texts) else ("chinese",)


def _rate(texts: Sequence[tuple[str, str]], name: str, unit: Unit) -> float | None:
    normalize = get_normalizer(name)
    said, heard = ([normalize(text) for text in side] for side in zip(*texts, strict=True)) if texts else ([], [])
    return ErrorCounts.from_counts(count_errors(said, heard, unit)).rate
