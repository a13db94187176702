"""How good confidences are: NIST's normalised cross-entropy, calibration error, risk and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lm.evaluation.confidence import (
    ConfidenceQuality,
    Judged,
    expected_calibration_error,
    normalised_cross_entropy,
    risk_coverage,
)


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and words that are right as often as these say."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.02, 0.98, count)
    return confidence, (generator.random(count) < confidence).astype(np.float64)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_cross_entropy_of_the_base_rate_is_zero(share: float) -> None:
    right = np.zeros(200)
    right[: round(200 * share)] = 1
    assert normalised_cross_entropy(np.full(200, share), right) == pytest.approx(0, abs=1e-12)


def test_the_cross_entropy_worked_by_hand() -> None:
    # H(3/4) = 0.811 bits a word; the words here cost -log2 of 0.9, 0.9, 0.9 and 0.8.
    right = np.array([1.0, 1.0, 1.0, 0.0])
    cost = -(3 * np.log2(0.9) + np.log2(0.8))
    base = -(3 * np.log2(0.75) + np.log2(0.25))
    assert normalised_cross_entropy(np.array([0.9, 0.9, 0.9, 0.2]), right) == pytest.approx(1 - cost / base)


def test_no_cross_entropy_where_nothing_differs() -> None:
    assert normalised_cross_entropy(np.array([0.9, 0.8]), np.ones(2)) is None


def test_true_confidences_are_calibrated_and_others_are_not() -> None:
    confidence, right = drawn(20_000)
    assert expected_calibration_error(confidence, right) < 0.02
    assert expected_calibration_error(confidence**0.2, right) > 0.1
    assert normalised_cross_entropy(confidence, right) > normalised_cross_entropy(confidence**0.2, right)


def test_certain_and_wrong_costs_much_but_not_infinitely() -> None:
    assert -np.inf < normalised_cross_entropy(np.array([1.0, 1.0]), np.array([1.0, 0.0])) < -1


def test_risk_at_full_coverage_is_the_error_rate() -> None:
    covered, risk = risk_coverage([0, 1, 3], [10, 10, 20])
    assert covered.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 5, 10])


def test_the_least_certain_fifth_holds_its_errors() -> None:
    judged = [Judged((0.5,), (False,), place / 10, 10 - place, 10) for place in range(10)]
    quality = ConfidenceQuality.of(judged)
    assert quality.worst == pytest.approx((10 + 9) / 55)
    assert quality.coverage[-1] == (1.0, pytest.approx(55.0))


def test_an_empty_output_counts_among_utterances() -> None:
    quality = ConfidenceQuality.of([Judged((), (), 0.2, 3, 3), Judged((0.9,), (True,), 0.9, 0, 1)])
    assert quality.words == 1
    assert quality.coverage == ((0.5, 0.0), (1.0, 75.0))
