"""Lists of expected words as Le et al. (Interspeech 2021) make them, and what they change, with intervals.

A list holds the rare words of the reference, those beyond the 5,000 most common ones of a training text, and
distractors drawn from other rare words.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.evaluation.biased_errors import BiasedErrors, biased_errors
from asr_lm.evaluation.bootstrap import Resamples
from asr_lm.files import iterate_text
from asr_lm.rescoring.second_pass import Rescored

COMMON, DISTRACTORS, TEXT_WORDS = 5000, 1000, 3_000_000


@dataclass(frozen=True)
class ExpectedWords:
    """Where lists are drawn from.

    Attributes:
        common: words that are on no list.
        rare: those that distractors are drawn from.
    """

    common: frozenset[str]
    rare: Sequence[str]

    @classmethod
    def of(cls, text: Path) -> ExpectedWords:
        """The common and the rare words of a training text."""
        counts: Counter[str] = Counter()
        words = 0
        for _, line in iterate_text(text):
            counts.update(said := line.split())
            words += len(said)
            if words > TEXT_WORDS:
                break
        # Half of a small vocabulary at most, so that there are rare words in a small text, too.
        common = frozenset(word for word, _ in counts.most_common(min(COMMON, len(counts) // 2)))
        return cls(common, sorted(counts.keys() - common))

    def listed(self, name: str, reference: str | None, *, with_said: bool = True, draw: int = 0) -> tuple[str, ...]:
        """The list of an utterance: its rare words, unless they are left out, and distractors, each draw others."""
        said = set((reference or "").split())
        drawn = random.Random(f"{name} {draw}" if draw else name).sample(self.rare, min(DISTRACTORS, len(self.rare)))
        wanted = sorted(said - self.common) if with_said else []
        return (*wanted, *(word for word in drawn if word not in said))


def errors(rescored: Rescored, lists: Sequence[Sequence[str]]) -> list[BiasedErrors]:
    """Errors of listed words and of others in every utterance.

    Args:
        rescored: all utterances.
        lists: of each of them.
    """
    found = zip(rescored.outcome.references, rescored.outcome.chosen["rescored"], lists, strict=True)
    return [biased_errors((said or "").split(), text.split(), frozenset(listed)) for said, text, listed in found]


def rate(rescored: Rescored) -> float:
    """WER in percent."""
    return float(rescored.comparison()["rescored"].counts.rate or 0.0)


def told(before: Sequence[BiasedErrors], after: Sequence[BiasedErrors]) -> str:
    """B-WER and U-WER without and with lists, and the 95 % intervals of the paired differences."""
    told = []
    for name, column in (("B-WER", 0), ("U-WER", 2)):
        counts = [_counts(some, column) for some in (before, after)]
        resampled = Resamples.draw(counts)
        first, second = resampled.measured.tolist()
        interval = resampled.difference(0, 1).interval
        between = f" ({interval.low:+.2f} to {interval.high:+.2f})" if interval else ""
        told.append(f"{name} {first:.2f} to {second:.2f}, {second - first:+.2f}{between}")
    return "; ".join(told)


def _counts(errors: Sequence[BiasedErrors], column: int) -> NDArray[np.int64]:
    """Errors, all in one column, and words ``[utterances, 4]``."""
    counts = np.zeros((len(errors), 4), dtype=np.int64)
    counts[:, [0, 3]] = [astuple(one)[column : column + 2] for one in errors]
    return counts
