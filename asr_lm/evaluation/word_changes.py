"""Which words a system fixed and which it broke, and which words it takes for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from asr_lm.errors import InputError
from asr_lm.evaluation.matched_pairs import ErrorPositions, error_positions
from asr_lm.evaluation.word_errors import Unit, alignments, tokens


@dataclass(frozen=True)
class WordChange:
    """What became of one word of the references between a first and a second system.

    Attributes:
        word: the reference's word (or character).
        fixed: how often the first system had it wrong and the second right.
        broken: how often the first system had it right and the second wrong.
        spoken: how often it stands in the references.
    """

    word: str
    fixed: int
    broken: int
    spoken: int


@dataclass(frozen=True)
class Confusion:
    """How often ``hypothesis`` was recognised for ``reference``; None is nothing (an insertion, a deletion)."""

    reference: str | None
    hypothesis: str | None
    count: int


def word_changes(
    references: Sequence[str], first: Sequence[str], second: Sequence[str], unit: Unit = "word"
) -> list[WordChange]:
    """Every reference word that was fixed or broken, most changes first, then in alphabetical order.

    Inserted words stand against no reference word; :func:`confusions` has them.

    Raises:
        InputError: the sequences differ in length, or the unit is unknown.
    """
    first_positions = error_positions(references, first, unit)
    return changes_at(references, first_positions, error_positions(references, second, unit), unit)


def changes_at(
    references: Sequence[str],
    first: Sequence[ErrorPositions],
    second: Sequence[ErrorPositions],
    unit: Unit = "word",
) -> list[WordChange]:
    """As :func:`word_changes`, from error positions already found.

    Raises:
        InputError: the positions are not those of the references.
    """
    counts = WordCounts()
    counts.add(references, first, second, unit)
    return counts.changes()


@dataclass
class WordCounts:
    """What became of the words of references so far; it grows with the vocabulary, not with the list.

    Attributes:
        spoken, fixed, broken: as those of :class:`WordChange`, by word.
    """

    spoken: Counter[str] = field(default_factory=Counter)
    fixed: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        references: Sequence[str],
        first: Sequence[ErrorPositions],
        second: Sequence[ErrorPositions],
        unit: Unit = "word",
    ) -> None:
        """Count more references; as :func:`changes_at`."""
        for reference, one, other in zip(references, first, second, strict=True):
            words = tokens(reference, unit)
            if not len(one) == len(other) == 2 * len(words) + 1:
                raise InputError("the systems were aligned with different references, expected the same utterances")
            self.spoken.update(words)
            for word, before, after in zip(words, one[1::2], other[1::2], strict=True):
                if before != after:
                    (self.fixed if before else self.broken)[word] += 1

    def merge(self, other: WordCounts) -> None:
        """Count the references that another one has counted."""
        self.spoken.update(other.spoken)
        self.fixed.update(other.fixed)
        self.broken.update(other.broken)

    def changes(self) -> list[WordChange]:
        """Every word that was fixed or broken, most changes first, then in alphabetical order."""
        changed = [
            WordChange(word, self.fixed[word], self.broken[word], self.spoken[word])
            for word in self.fixed.keys() | self.broken.keys()
        ]
        return sorted(changed, key=lambda change: (-change.fixed - change.broken, change.word))


def repeated(counts: Sequence[int]) -> int:
    """The least count that a list of what occurs most often shows: 2, or 1 where nothing occurs twice."""
    return 2 if max(counts, default=0) > 1 else 1


def most_fixed(changes: Sequence[WordChange], most: int) -> list[WordChange]:
    """The ``most`` words that were fixed most often; none that never was."""
    fixed = [change for change in changes if change.fixed]
    return sorted(fixed, key=lambda change: (-change.fixed, change.broken, change.word))[:most]


def most_broken(changes: Sequence[WordChange], most: int) -> list[WordChange]:
    """The ``most`` words that were broken most often; none that never was."""
    broken = [change for change in changes if change.broken]
    return sorted(broken, key=lambda change: (-change.broken, change.fixed, change.word))[:most]


def confusions(references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "word") -> list[Confusion]:
    """Every substitution, deletion and insertion with its count, most frequent first, then in alphabetical order.

    Raises:
        InputError: the sequences differ in length, or the unit is unknown.
    """
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for spans in alignments(references, hypotheses, unit):
        for operation, left, right in spans:
            if operation == "substitute":
                counts.update(zip(left, right, strict=True))
            elif operation == "delete":
                counts.update((word, None) for word in left)
            elif operation == "insert":
                counts.update((None, word) for word in right)
    found = [Confusion(reference, hypothesis, count) for (reference, hypothesis), count in counts.items()]
    return sorted(found, key=lambda pair: (-pair.count, pair.reference or "", pair.hypothesis or ""))
