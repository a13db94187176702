"""Errors of word boundaries: the same letters, cut into words otherwise ("u s" for "us").

They are real errors to the word error rate, but a system that only learns how a reference writes its words apart
repairs nothing that was misheard. So they can be counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SpacingErrors:
    """Errors of one system.

    Attributes:
        errors: substitutions, deletions and insertions.
        spacing: those of them where only word boundaries differ.
        reference_words: words of the references.
    """

    errors: int
    spacing: int
    reference_words: int

    def __add__(self, other: SpacingErrors) -> SpacingErrors:
        return SpacingErrors(
            self.errors + other.errors, self.spacing + other.spacing, self.reference_words + other.reference_words
        )

    @property
    def rate_of_others(self) -> float | None:
        """Word error rate in percent, errors of word boundaries not counted; None without a word."""
        return 100 * (self.errors - self.spacing) / self.reference_words if self.reference_words else None

    def to_json(self) -> dict[str, Any]:
        """As the commands write it."""
        return {"errors": self.errors, "spacing_errors": self.spacing, "wer_without_spacing": self.rate_of_others}


def spacing_errors(references: Sequence[str | None], systems: Mapping[str, Sequence[str]]) -> dict[str, SpacingErrors]:
    """Errors of each system over the utterances that have a reference; empty where none has.

    Args:
        references: what was said ``[utterances]``.
        systems: texts of each system ``[utterances]``.
    """
    known = [number for number, reference in enumerate(references) if reference is not None]
    if not known:
        return {}
    words = sum(len((references[number] or "").split()) for number in known)
    results = {}
    for name, texts in systems.items():
        counts = [count_spacing((references[number] or "").split(), texts[number].split()) for number in known]
        results[name] = SpacingErrors(sum(count[0] for count in counts), sum(count[1] for count in counts), words)
    return results


def count_spacing(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, int]:
    """Word errors, and how many of them are errors of word boundaries alone.

    Looked at are the stretches that differ in a best alignment: one with the same letters on both sides is an error of
    word boundaries, and so is the longest beginning or end of a stretch that has the same letters.
    """
    from rapidfuzz.distance import Levenshtein

    errors = Levenshtein.distance(reference, hypothesis)
    blocks = _merged(Levenshtein.opcodes(reference, hypothesis))
    spacing = 0
    for begin, end, other_begin, other_end in blocks:
        said, heard = reference[begin:end], hypothesis[other_begin:other_end]
        first, other_first = _same_letters(said, heard)
        last, other_last = _same_letters(said[first:][::-1], heard[other_first:][::-1], backwards=True)
        spacing += Levenshtein.distance(said[:first], heard[:other_first])
        spacing += Levenshtein.distance(said[len(said) - last :], heard[len(heard) - other_last :])
    return errors, min(spacing, errors)


def _same_letters(said: Sequence[str], heard: Sequence[str], backwards: bool = False) -> tuple[int, int]:
    """How many words of each side make up the longest beginnings with the same letters.

    With ``backwards`` the words come from the end.
    """

    def spelled(words: Sequence[str]) -> str:
        return "".join(words[::-1] if backwards else words)

    ends = {spelled(heard[:number]): number for number in range(1, len(heard) + 1)}
    for number in range(len(said), 0, -1):
        if (other := ends.get(spelled(said[:number]))) is not None:
            return number, other
    return 0, 0


def _merged(blocks: Any) -> list[tuple[int, int, int, int]]:
    """Stretches that differ, neighbouring ones together."""
    merged: list[tuple[int, int, int, int]] = []
    for block in blocks:
        if block.tag == "equal":
            continue
        if merged and merged[-1][1] == block.src_start and merged[-1][3] == block.dest_start:
            begin, _, other_begin, _ = merged.pop()
            merged.append((begin, block.src_end, other_begin, block.dest_end))
        else:
            merged.append((block.src_start, block.src_end, block.dest_start, block.dest_end))
    return merged
