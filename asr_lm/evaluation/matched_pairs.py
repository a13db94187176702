"""The matched-pairs sentence-segment word error test (MAPSSWE).

Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989; Pallett,
Fisher and Fiscus, "Tools for the analysis of benchmark speech recognition tests", ICASSP 1990. Utterances are cut into
segments whose errors are independent: a segment holds at least one error of either system and ends where both systems
have two words running right, or with the utterance. The test asks whether the mean difference of the errors in a
segment is zero.

The segments are those of NIST's SCTK (``mtchprs.c``, two correct words as there), except that words inserted after the
last reference word always belong to the last segment, for both systems alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import AlignedSpan, Unit, alignments, check_pairs, distinct_pairs

MIN_GOOD = 2
"""Words running that both systems have right, which end a segment."""

ErrorPositions = list[int]
"""Errors along a reference of ``n`` words ``[2 * n + 1]``: entry ``2 * i + 1`` is 1 where word ``i`` is wrong, else 0;
entry ``2 * i`` is the number of words inserted before word ``i`` (the last one: after the last word)."""


@dataclass(frozen=True)
class MatchedPairs:
    """Result of the test.

    Attributes:
        segments: how many segments have an error of either system.
        mean_difference: errors of the second system less those of the first, in a segment; negative where the second
            is better; None without segments.
        z: the mean difference over its standard error, standard normal for many segments (Gillick and Cox ask for more
            than 50); None where it cannot be estimated.
        p_value: two-tailed; 1 where no segment differs. None means not enough data: fewer than two segments, or all
            of them differing by the same amount, so that their variance is unknown.
    """

    segments: int
    mean_difference: float | None
    z: float | None
    p_value: float | None


def error_positions(references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "word") -> list[ErrorPositions]:
    """Where along each reference its hypothesis errs. Equal pairs are aligned once and share one list.

    Raises:
        InputError: the sequences differ in length, or the unit is unknown.
    """
    check_pairs(references, hypotheses, unit)
    distinct, place = distinct_pairs(references, hypotheses)
    spans_of = alignments([pair[0] for pair in distinct], [pair[1] for pair in distinct], unit)
    positions = [_positions(spans) for spans in spans_of]
    return [positions[index] for index in place]


def _positions(spans: list[AlignedSpan]) -> ErrorPositions:
    positions = [0]
    for operation, reference, hypothesis in spans:
        if operation == "insert":
            positions[-1] += len(hypothesis)
        else:
            positions += [int(operation != "equal"), 0] * len(reference)
    return positions


def segments(first: ErrorPositions, second: ErrorPositions) -> Iterator[tuple[int, int]]:
    """Yield (errors of the first, errors of the second) for each segment of an utterance."""
    errors = [0, 0]
    good = 0
    for position, (left, right) in enumerate(zip(first, second, strict=True)):
        if left or right:
            errors[0] += left
            errors[1] += right
            good = 0
        elif position % 2:
            good += 1
            if good == MIN_GOOD and any(errors):
                yield errors[0], errors[1]
                errors = [0, 0]
    if any(errors):
        yield errors[0], errors[1]


def compare_positions(first: Sequence[ErrorPositions], second: Sequence[ErrorPositions]) -> MatchedPairs:
    """The test on error positions already found, of the same references in the same order.

    Raises:
        InputError: the references differ.
    """
    return matched_pairs(segment_differences(first, second))


def segment_differences(first: Sequence[ErrorPositions], second: Sequence[ErrorPositions]) -> Counter[int]:
    """How many segments have each difference of the errors, which is all that the test needs; counts add up.

    Raises:
        InputError: the references differ.
    """
    if [len(positions) for positions in first] != [len(positions) for positions in second]:
        raise InputError("the two systems were aligned with different references, expected the same utterances")
    pairs = zip(first, second, strict=True)
    return Counter(right - left for one, other in pairs for left, right in segments(one, other))


def matched_pairs(differences: Counter[int]) -> MatchedPairs:
    """The test on how many segments have each difference."""
    count = differences.total()
    total = sum(value * number for value, number in differences.items())
    squares = sum(value * value * number for value, number in differences.items())
    mean = total / count if count else None
    if mean is None or count < 2:
        return MatchedPairs(count, mean, None, None)
    # In whole numbers, so that nothing is lost before the division.
    spread = count * squares - total * total
    if spread == 0:
        return MatchedPairs(count, mean, None, None) if mean else MatchedPairs(count, 0.0, 0.0, 1.0)
    z = mean / math.sqrt(spread / (count * count * (count - 1)))
    return MatchedPairs(count, mean, z, math.erfc(abs(z) / math.sqrt(2.0)))
