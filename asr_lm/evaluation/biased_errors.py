"""Errors of listed words and of all others: B-WER and U-WER.

Le et al., Contextualized streaming end-to-end speech recognition with trie-based deep biasing and shallow fusion
(Interspeech 2021), section 3.1: B-WER is the word error rate over words that are on the biasing list, U-WER over those
that are not. A substitution or deletion belongs to the word of the reference, an insertion to the inserted word.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BiasedErrors:
    """Errors of words on the list and of others; two of them add up.

    Attributes:
        listed_errors, listed_words: of words on the list.
        other_errors, other_words: of all others.
    """

    listed_errors: int = 0
    listed_words: int = 0
    other_errors: int = 0
    other_words: int = 0

    def __add__(self, other: BiasedErrors) -> BiasedErrors:
        return BiasedErrors(
            self.listed_errors + other.listed_errors,
            self.listed_words + other.listed_words,
            self.other_errors + other.other_errors,
            self.other_words + other.other_words,
        )

    @property
    def listed_rate(self) -> float | None:
        """B-WER in percent; None where no listed word was said."""
        return 100 * self.listed_errors / self.listed_words if self.listed_words else None

    @property
    def other_rate(self) -> float | None:
        """U-WER in percent; None where no other word was said."""
        return 100 * self.other_errors / self.other_words if self.other_words else None

    def to_json(self) -> dict[str, Any]:
        """As the commands write it; rates in percent."""
        return {"b_wer": self.listed_rate, "u_wer": self.other_rate, "listed_words": self.listed_words}


def biased_errors(reference: Sequence[str], hypothesis: Sequence[str], listed: Collection[str]) -> BiasedErrors:
    """Errors of one text.

    Args:
        reference: words that were said.
        hypothesis: words that were recognised.
        listed: words that are on the list.

    >>> biased_errors("call ada now".split(), "call adder right now".split(), {"ada"})
    BiasedErrors(listed_errors=1, listed_words=1, other_errors=1, other_words=2)
    """
    from rapidfuzz.distance import Levenshtein

    wrong = [
        hypothesis[step.dest_pos] if step.tag == "insert" else reference[step.src_pos]
        for step in Levenshtein.editops(reference, hypothesis)
    ]
    errors, words = (sum(word in listed for word in some) for some in (wrong, reference))
    return BiasedErrors(errors, words, len(wrong) - errors, len(reference) - words)
