"""How good confidences are: whether they mean what they say, and whether they find the errors.

* Normalised cross-entropy (Siu, Gish and Richardson, Improved estimation, evaluation and applications of confidence
  measures for speech recognition, Eurospeech 1997; NIST's evaluation plans since 1997): the share of the entropy of
  right and wrong that the confidences take away. 1 is perfect, 0 is what the share of right words says by itself.
* Expected calibration error (Guo et al., On calibration of modern neural networks, ICML 2017, equation 3): mean
  distance between confidence and share of right words over bins of equal width.
* Risk and coverage (El-Yaniv and Wiener, On the foundations of noise-free selective classification, JMLR 2010): the
  error rate of the utterances that are kept when the least certain ones go to a human.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.counted import counted

BINS = 15
"""Bins of the expected calibration error and of the reliability diagram."""

WORST = 0.2
"""Share of the utterances that are looked at for how many of all errors they hold."""

_LEAST = 1e-7

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Counts = Sequence[int] | Places

POINTS = 10_000
"""Points of the risk-coverage curve that are kept, at most."""


@dataclass(frozen=True)
class Judged:
    """The confidences of one utterance and what was right.

    Attributes:
        words: confidence of each word.
        right: whether it is right.
        utterance: confidence of the utterance.
        errors: of the utterance, deletions among them.
        reference_words: of its reference.
    """

    words: tuple[float, ...]
    right: tuple[bool, ...]
    utterance: float
    errors: int
    reference_words: int


@dataclass(frozen=True)
class Bin:
    """Words of about one confidence: how many, their mean confidence, the share that is right."""

    words: int
    confidence: float
    right: float


@dataclass(frozen=True)
class ConfidenceQuality:
    """How good the confidences of a list are.

    Attributes:
        words: words of the output that were judged.
        right: share of them that is right.
        nce: normalised cross-entropy; None where all words are right, or all wrong.
        ece: expected calibration error, from 0 to 1.
        aurc: area under the risk-coverage curve: error rate in percent, averaged over all coverages.
        worst: share of all errors in the least certain :data:`WORST` of the utterances; None without errors.
        reliability: bins of the reliability diagram, those without words left out.
        coverage: share of the utterances kept and error rate in percent of these, the most certain first; at most
            :data:`POINTS` pairs.
    """

    words: int
    right: float
    nce: float | None
    ece: float
    aurc: float
    worst: float | None
    reliability: tuple[Bin, ...]
    coverage: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, judged: Iterable[Judged]) -> ConfidenceQuality:
        """Figures of the utterances of a list, at least one of which has a word."""
        found = JudgedWords(judged).quality()
        assert found is not None, "no utterance has a word"
        return found

    @property
    def figures(self) -> dict[str, float]:
        """The figures that are one number, by name; those that could not be computed are left out."""
        single = {"words": self.words, "right": self.right, "nce": self.nce, "ece": self.ece, "aurc": self.aurc}
        named = {**single, "errors_in_worst_fifth": self.worst}
        return {name: float(value) for name, value in named.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """All figures; shares are from 0 to 1, risks in percent."""
        bins = [asdict(found) for found in self.reliability]
        return {**self.figures, "words": self.words, "reliability": bins, "coverage": list(map(list, self.coverage))}

    def text(self) -> str:
        """The figures in one line."""
        nce = "–" if self.nce is None else f"{self.nce:.3f}"
        worst = (
            ""
            if self.worst is None
            else f"; the least certain fifth of the utterances holds {self.worst:.0%} of the errors"
        )
        return (
            f"confidence of {counted(self.words, 'word')}, {self.right:.1%} right: normalised cross-entropy {nce}, "
            f"calibration error {self.ece:.3f}, area under risk and coverage {self.aurc:.2f} %{worst}"
        )


class JudgedWords:
    """The judged utterances of a list as numbers: 9 bytes a word and 16 an utterance.

    Args:
        judged: the first of them.
    """

    def __init__(self, judged: Iterable[Judged] = ()) -> None:
        self._words, self._right = array("d"), array("b")
        self._utterances, self._errors, self._reference_words = array("d"), array("L"), array("L")
        self.extend(judged)

    def extend(self, judged: Iterable[Judged]) -> None:
        """The next utterances."""
        for found in judged:
            self._words.extend(found.words)
            self._right.extend(found.right)
            self._utterances.append(found.utterance)
            self._errors.append(found.errors)
            self._reference_words.append(found.reference_words)

    def merge(self, other: JudgedWords) -> None:
        """The utterances of another one, as those that follow."""
        for name in ("_words", "_right", "_utterances", "_errors", "_reference_words"):
            getattr(self, name).extend(getattr(other, name))

    def quality(self) -> ConfidenceQuality | None:
        """The figures; None where no utterance has a word."""
        if not self._words:
            return None
        confidence, right = np.array(self._words), np.array(self._right, dtype=np.float64)
        order = np.argsort(-np.array(self._utterances), kind="stable")
        errors, words = (np.array(values, dtype=np.int64)[order] for values in (self._errors, self._reference_words))
        coverage, risk = risk_coverage(errors, words)
        shown = _spread(len(risk))
        return ConfidenceQuality(
            words=len(right),
            right=float(right.mean()),
            nce=normalised_cross_entropy(confidence, right),
            ece=expected_calibration_error(confidence, right),
            aurc=float(risk.mean()),
            worst=_worst(errors),
            reliability=reliability(confidence, right),
            coverage=tuple(zip(coverage[shown].tolist(), risk[shown].tolist(), strict=True)),
        )


def _spread(count: int) -> Places:
    """Places of at most :data:`POINTS` points of a curve, the last among them."""
    step = -(-count // POINTS)
    return np.arange(count - 1, -1, -step)[::-1]


def normalised_cross_entropy(confidence: Floats, right: Floats) -> float | None:
    """``1 - H(confidence) / H(share of right words)``; None where all words are right, or all wrong.

    >>> normalised_cross_entropy(np.array([0.75] * 4), np.array([1.0, 1.0, 1.0, 0.0]))
    0.0
    """
    if right.all() or not right.any():
        return None
    base = np.full(len(right), right.mean())
    return float(1.0 - _entropy(confidence, right) / _entropy(base, right))


def _entropy(confidence: Floats, right: Floats) -> float:
    kept = np.clip(confidence, _LEAST, 1 - _LEAST)
    return float(-(right * np.log2(kept) + (1 - right) * np.log2(1 - kept)).sum())


def reliability(confidence: Floats, right: Floats) -> tuple[Bin, ...]:
    """Bins of equal width; those without words are left out."""
    number = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return tuple(
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for inside in (number == place for place in range(BINS))
        if inside.any()
    )


def expected_calibration_error(confidence: Floats, right: Floats) -> float:
    """Mean distance between confidence and share of right words over the bins, weighed by their words."""
    bins = reliability(confidence, right)
    return float(sum(found.words * abs(found.confidence - found.right) for found in bins) / len(right))


def risk_coverage(errors: Counts, reference_words: Counts) -> tuple[Floats, Floats]:
    """Coverage and error rate in percent of the first utterance, the first two, and so on ``[utterances]`` each.

    Args:
        errors: of each utterance, the most certain first.
        reference_words: of each utterance.
    """
    covered = np.arange(1, len(errors) + 1) / max(len(errors), 1)
    words = np.maximum(np.cumsum(reference_words), 1)
    return covered, 100.0 * np.cumsum(errors) / words


def _worst(errors: Places) -> float | None:
    count, total = round(WORST * len(errors)), int(errors.sum())
    return int(errors[len(errors) - count :].sum()) / total if total else None
