"""Whether a tuned system beats the first pass on utterances that it was not tuned on, in one sentence.

Errors are compared utterance by utterance. The mean of the differences is tested two-sided by its standard error. Where
it is within noise, the number of utterances that would be needed comes from the usual sample size of a paired
comparison, ``n = (z_a + z_b)^2 var(d) / mean(d)^2`` (Lachin 1981, "Introduction to sample size determination and power
analysis for clinical trials"): with that many, a difference as large as the one seen is found with 80 % power.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.word_errors import Counts, ErrorCounts, Unit

LEVEL = 0.05
"""Two-sided level of the test."""

POWER = 0.8
"""Probability with which the number of utterances named would show the difference."""

MARGIN = 1.0
"""Standard errors of the paired difference by which a tuned system must win held out to be applied in the place of a
simpler one that is tuned, too."""

FIRST_PASS_MARGIN = 0.5, 75
"""``a`` and ``b``: against the first pass it must win by ``a + b / utterances`` standard errors, since what little
data says of itself is the less sure."""

CLOSE = 0.75
"""Standard errors from the margin within which a comparison is a close call."""

MOST = 2
"""Errors by which an utterance may differ, as it is counted there: one that fails altogether decides nothing."""

Errors: TypeAlias = NDArray[np.float64]
"""Errors of utterances that need not be whole numbers ``[utterances]``."""

MeanCounts: TypeAlias = Counts | Errors
"""Errors as :func:`count_errors <asr_lm.evaluation.word_errors.count_errors>` has them, or their mean over several
divisions into folds ``[utterances, 4]``."""

_Z_LEVEL = NormalDist().inv_cdf(1 - LEVEL / 2)
_Z_POWER = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Verdict:
    """What held-out errors say of a system.

    Attributes:
        text: a plain sentence.
        wins: True where the system makes fewer errors than the first pass, False where it makes more or as many, None
            where the difference is within noise or cannot be tested.
        needed: utterances that would be needed to tell; None where that is known already or cannot be estimated.
    """

    text: str
    wins: bool | None
    needed: int | None

    def with_choice(self, choice: str) -> Verdict:
        """The same, with what follows from it at the end of the sentence."""
        return replace(self, text=f"{self.text.removesuffix('.')}: {choice}.")

    def to_json(self) -> dict[str, Any]:
        """As the commands write it."""
        return asdict(self)


UNCHECKED = Verdict(
    "There are too few recordings (or utterances, where no recording is named) for a held-out check of the tuning.",
    None,
    None,
)
"""Where there is no cross-validation."""


def held_out_verdict(
    first_pass: Counts, tuned: Counts, unit: Unit = "word", *, is_likely: bool | None = None
) -> Verdict:
    """The verdict on a system that was tuned on other utterances.

    Args:
        first_pass: errors of the first pass ``[utterances, 4]``.
        tuned: of the system, each utterance by weights tuned on others ``[utterances, 4]``.
        unit: what was counted.
        is_likely: whether the system is applied where the errors made are within noise; None asks
            :func:`beats_first_pass`.

    Raises:
        InputError: the two are not of the same references.
    """
    if first_pass.shape != tuned.shape or (first_pass[:, 3] != tuned[:, 3]).any():
        raise InputError("the errors are of other references, expected the same utterances", parameter="tuned")
    before, after = ErrorCounts.from_counts(first_pass).rate, ErrorCounts.from_counts(tuned).rate
    if before is None or after is None:
        return UNCHECKED
    differences = (tuned[:, :3].sum(1) - first_pass[:, :3].sum(1)).astype(np.float64)
    short, count = metric(unit).short, len(differences)
    figures = f"{after:.2f} % {short} against {before:.2f} %"
    if not differences.sum():
        return Verdict(f"Held out, the tuned weights equal the first pass at {after:.2f} % {short}.", False, None)
    better = bool(differences.sum() < 0)
    if _is_beyond_noise(differences):
        verb = "beat" if better else "do worse than"
        return Verdict(f"Held out, the tuned weights {verb} the first pass: {figures}.", better, None)
    figures = f"{figures}; {counted(count, 'utterance')}"
    likely = beats_first_pass(first_pass, tuned) if is_likely is None else is_likely
    return _undecided(differences, figures, likely=likely)


def is_won(
    simpler: MeanCounts, larger: MeanCounts, margin: float = MARGIN, expected: tuple[Errors, Errors] | None = None
) -> bool:
    """Whether the larger of two systems makes fewer errors held out by more than noise; a tie goes to the simpler one.

    It must make fewer errors, and those expected must fall by the margin. Expected errors say more of few utterances:
    most choices are close ones, and a near miss counts for nearly as much as a hit.

    Args:
        simpler, larger: errors of the same utterances, each by weights tuned on others ``[utterances, 4]``.
        margin: standard errors of the difference by which it must win.
        expected: errors of both that are expected under the posteriors of their lists ``[utterances]``; None takes
            those that were made.
    """
    if (simpler[:, :3].sum(1) - larger[:, :3].sum(1)).sum() <= 0:
        return False
    # One utterance alone wins by exactly one standard error, and rounding must not make it more.
    return won_by(simpler, larger, expected) > margin + 1e-9


def won_by(simpler: MeanCounts, larger: MeanCounts, expected: tuple[Errors, Errors] | None = None) -> float:
    """Standard errors of the paired difference by which the larger of two systems has fewer errors held out.

    Args:
        simpler, larger, expected: as in :func:`is_won`.

    Returns:
        Negative where it has more; 0 for a single utterance; infinite where all utterances differ by the same amount.
    """
    made = (simpler[:, :3].sum(1) - larger[:, :3].sum(1)).astype(np.float64)
    return _standard_errors((made if expected is None else expected[0] - expected[1]).clip(-MOST, MOST))


def margin_over_first_pass(utterances: int) -> float:
    """Standard errors by which a system must win against the first pass to be applied."""
    least, few = FIRST_PASS_MARGIN
    return least + few / max(utterances, 1)


def beats_first_pass(first_pass: Counts, tuned: MeanCounts, expected: tuple[Errors, Errors] | None = None) -> bool:
    """Whether a tuned system is to be applied in the place of the first pass; see :func:`is_won`.

    What is beyond noise by the errors made needs no more.
    """
    if is_won(first_pass, tuned, margin_over_first_pass(len(first_pass)), expected):
        return True
    made = (first_pass[:, :3].sum(1) - tuned[:, :3].sum(1)).astype(np.float64)
    return bool(made.sum() > 0) and _is_beyond_noise(made.clip(-MOST, MOST))


def _undecided(differences: np.ndarray, figures: str, *, likely: bool) -> Verdict:
    needed = utterances_needed(differences)
    found = "do better than the first pass, which may be chance" if likely else "are within noise of the first pass"
    few = "is too few" if len(differences) == 1 else "are too few"
    text = f"Held out, the tuned weights {found}: {figures} {few} to {'be sure' if likely else 'tell'}"
    return Verdict(text + ("." if needed is None else f", about {needed:,} would be needed."), None, needed)


def _standard_errors(differences: Errors) -> float:
    """The sum of differences in units of its standard error; 0 of fewer than two, infinite where all are equal."""
    total = float(differences.sum())
    if len(differences) < 2 or not total:
        return 0.0
    error = math.sqrt(len(differences) * float(differences.var(ddof=1)))
    return total / error if error else math.copysign(math.inf, total)


def _is_beyond_noise(differences: Errors) -> bool:
    """At the level of the test, and of few utterances by as much as is asked for against the first pass."""
    least = max(_Z_LEVEL, margin_over_first_pass(len(differences)))
    # Where all differ by the same amount their variance is unknown, not zero.
    return least < abs(_standard_errors(differences)) < math.inf


def utterances_needed(differences: np.ndarray) -> int | None:
    """Utterances with which differences such as these would be told from noise.

    Args:
        differences: of the errors of two systems ``[utterances]``.

    Returns:
        None where there is no difference, or no variance to estimate the number from.
    """
    if len(differences) < 2 or not differences.sum() or not (variance := float(differences.var(ddof=1))):
        return None
    return math.ceil((_Z_LEVEL + _Z_POWER) ** 2 * variance / float(differences.mean()) ** 2)
