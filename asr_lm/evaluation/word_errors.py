"""Word errors and those of other units: what a hypothesis got wrong against what was said.

Counting is jiwer's (Levenshtein distance, all errors cost one). What is counted is a metric's
(:mod:`asr_lm.evaluation.metrics`); nothing else is done to a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.metrics.registry import metric

if TYPE_CHECKING:
    from jiwer import AlignmentChunk

Unit = str
"""Name of a metric, which is what it counts: see :mod:`asr_lm.evaluation.metrics.registry`."""

Counts = NDArray[np.int32]
"""Error counts ``[pairs, 4]``: substitutions, deletions, insertions, reference length."""

Operation = Literal["equal", "substitute", "delete", "insert"]

AlignedSpan = tuple[Operation, list[str], list[str]]
"""One stretch of an alignment: operation, the reference's tokens, the hypothesis's tokens."""

ALIGNED_AT_ONCE = 4096
"""Bounds the memory of jiwer's alignments, which are Python objects."""


@dataclass(frozen=True)
class ErrorCounts:
    """Errors of a set of utterances; adding two is the same as counting their union, so rates are never averaged.

    Attributes:
        substitutions, deletions, insertions: how often each error was made.
        reference_length: units of the references.
        sentences: utterances counted.
        sentence_errors: utterances with at least one error.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_length: int = 0
    sentences: int = 0
    sentence_errors: int = 0

    @classmethod
    def from_counts(cls, counts: Counts) -> ErrorCounts:
        """Sum of the rows ``[utterances, 4]`` of :func:`count_errors`."""
        substitutions, deletions, insertions, length = counts.sum(axis=0, dtype=np.int64).tolist()
        wrong = int(counts[:, :3].any(axis=1).sum())
        return cls(substitutions, deletions, insertions, length, len(counts), wrong)

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per hundred units of the references, in percent; None where there is none to divide by."""
        return 100.0 * self.errors / self.reference_length if self.reference_length else None

    @property
    def sentence_error_rate(self) -> float | None:
        """Utterances with an error, in percent; None where there is no utterance."""
        return 100.0 * self.sentence_errors / self.sentences if self.sentences else None

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
            self.sentences + other.sentences,
            self.sentence_errors + other.sentence_errors,
        )


def tokens(text: str, unit: Unit = "word") -> list[str]:
    """The units of ``text`` that are compared; raises InputError where there is no such unit."""
    return metric(unit).tokens(text)


@dataclass(frozen=True)
class _Tokenizer:
    """The transform given to jiwer in place of its own, which would also drop and rewrite."""

    unit: Unit

    def __call__(self, texts: list[str]) -> list[list[str]]:
        return list(map(metric(self.unit).tokens, texts))


def check_pairs(references: Sequence[str], hypotheses: Sequence[str], unit: Unit) -> None:
    """Refuse what cannot be aligned.

    Raises:
        InputError: the two sequences differ in length, or the unit is unknown.
    """
    metric(unit)
    if len(references) != len(hypotheses):
        raise InputError(
            f"{counted(len(references), 'reference')} but {counted(len(hypotheses), 'hypothesis', 'hypotheses')}, "
            "expected one for each"
        )


def count_errors(references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "word") -> Counts:
    """Errors of each hypothesis against its reference.

    Empty texts are legal: an empty hypothesis is all deletions, against an empty reference every word is an insertion.

    Args:
        references: what was said ``[pairs]``.
        hypotheses: what was recognised ``[pairs]``.
        unit: what is counted.

    Returns:
        ``[pairs, 4]``: substitutions, deletions, insertions, reference length. Equal pairs are aligned once.

    Raises:
        InputError: the two sequences differ in length, or the unit is unknown.
    """
    check_pairs(references, hypotheses, unit)
    distinct, row_of = distinct_pairs(references, hypotheses)
    rows = np.zeros((len(distinct), 4), dtype=np.int32)
    aligned = _chunks([pair[0] for pair in distinct], [pair[1] for pair in distinct], unit)
    for row, (reference, _, chunks) in zip(rows, aligned, strict=True):
        row[:] = _counts_of(reference, chunks)
    return rows[row_of]


def distinct_pairs(
    references: Sequence[str], hypotheses: Sequence[str]
) -> tuple[list[tuple[str, str]], NDArray[np.intp]]:
    """The distinct (reference, hypothesis) pairs, and for each pair given its place among them ``[pairs]``."""
    index: dict[tuple[str, str], int] = {}
    row_of = [index.setdefault(pair, len(index)) for pair in zip(references, hypotheses, strict=True)]
    return list(index), np.array(row_of, dtype=np.intp)


def _counts_of(reference: list[str], chunks: list[AlignmentChunk]) -> tuple[int, int, int, int]:
    substitutions = deletions = insertions = 0
    for chunk in chunks:
        if chunk.type == "substitute":
            substitutions += chunk.ref_end_idx - chunk.ref_start_idx
        elif chunk.type == "delete":
            deletions += chunk.ref_end_idx - chunk.ref_start_idx
        elif chunk.type == "insert":
            insertions += chunk.hyp_end_idx - chunk.hyp_start_idx
    return substitutions, deletions, insertions, len(reference)


def _chunks(
    references: Sequence[str], hypotheses: Sequence[str], unit: Unit
) -> Iterator[tuple[list[str], list[str], list[AlignmentChunk]]]:
    """Yield (reference tokens, hypothesis tokens, jiwer's chunks) of each pair, batch by batch."""
    from jiwer import process_words

    # Any callable does; jiwer's annotation asks for one of its own classes.
    transform: Any = _Tokenizer(unit)
    for start in range(0, len(references), ALIGNED_AT_ONCE):
        batch = slice(start, start + ALIGNED_AT_ONCE)
        output = process_words(list(references[batch]), list(hypotheses[batch]), transform, transform)
        yield from zip(output.references, output.hypotheses, output.alignments, strict=True)


def alignments(
    references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "word"
) -> Iterator[list[AlignedSpan]]:
    """Yield how each hypothesis is aligned with its reference, as spans (operation, reference, hypothesis) in order.

    A substitution has as many tokens on either side; a deletion none in the hypothesis, an insertion none in the
    reference. Of several alignments with the fewest errors it is the one jiwer finds.

    Raises:
        InputError: the two sequences differ in length, or the unit is unknown.
    """
    check_pairs(references, hypotheses, unit)
    for reference, hypothesis, chunks in _chunks(references, hypotheses, unit):
        yield [
            (
                cast(Operation, chunk.type),
                reference[chunk.ref_start_idx : chunk.ref_end_idx],
                hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx],
            )
            for chunk in chunks
        ]
