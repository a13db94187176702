"""Letters that a normaliser throws away: those of a script that it was not made for.

An English normaliser leaves nothing of a Cyrillic or Chinese sentence. A text that goes through it unnoticed gives a
model of the few words that are left, and an error rate of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from asr_lm.errors import InputError
from asr_lm.text.normalizer import NormalizerName, get_normalizer

THINNED_WARNING = 0.001
"""Share of the lines that lose letters above which a reader is warned."""

LOST_ERROR = 0.5
"""Share of the letters lost above which a text is refused."""

_EXAMPLE_LENGTH = 40


@dataclass
class LostLetters:
    """How much of a text a normaliser loses, counted line by line.

    A letter or digit is lost where the normaliser leaves nothing of it standing alone: ``librispeech`` loses Cyrillic
    and Chinese letters, while it turns accented ones into plain ones.

    Attributes:
        normalizer: name of the normaliser.
        lines: lines so far; thinned: those of them that lost letters.
        letters: letters and digits so far; lost: those of them that were lost.
        example: the first line that lost letters.
    """

    normalizer: str
    lines: int = 0
    thinned: int = 0
    letters: int = 0
    lost: int = 0
    example: str = ""
    _is_lost: dict[str, bool] = field(default_factory=dict)
    _lost_there: str = ""

    def add(self, line: str) -> None:
        """Count a line as somebody wrote it; a blank one does not count."""
        if line.isascii():  # No normaliser loses a letter of these, and to tell them from punctuation would take time.
            letters = len(line) - line.count(" ")
            self.letters += letters
            self.lines += letters > 0
            return
        found = [character for character in line if character.isalnum()]
        lost = [character for character in found if self._loses(character)]
        self.lines += 1
        self.letters += len(found)
        if lost:
            self.lost += len(lost)
            self.thinned += 1
            self.example, self._lost_there = self.example or line.strip(), self._lost_there or "".join(lost)

    def merge(self, other: LostLetters) -> None:
        """Count the lines that another one has counted, as those that follow."""
        self.lines += other.lines
        self.thinned += other.thinned
        self.letters += other.letters
        self.lost += other.lost
        self.example, self._lost_there = self.example or other.example, self._lost_there or other._lost_there

    def watched(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines as they are, counted as they pass."""
        for line in lines:
            self.add(line)
            yield line

    def _loses(self, letter: str) -> bool:
        if letter not in self._is_lost:
            self._is_lost[letter] = not get_normalizer(self.normalizer)(letter)
        return self._is_lost[letter]

    @property
    def warning(self) -> str | None:
        """What a reader must know; None where next to nothing was lost."""
        return self._message if self.thinned > THINNED_WARNING * self.lines else None

    def check(self, parameter: str | None = None) -> None:
        """Refuse a text of which most is lost; ``parameter`` is what names the normaliser.

        Raises:
            InputError: it is.
        """
        if self.lost > LOST_ERROR * self.letters:
            raise InputError(self._message, parameter=parameter)

    @property
    def _message(self) -> str:
        """What was lost, and what keeps it."""
        shown = self.example[:_EXAMPLE_LENGTH] + ("…" if len(self.example) > _EXAMPLE_LENGTH else "")
        return (
            f"the normaliser {self.normalizer!r} loses {100 * self.lost / max(self.letters, 1):.1f} % of the letters, "
            f"in {self.thinned:,} of {self.lines:,} lines, such as {shown!r}; "
            f"{fitting_normalizer(self._lost_there)!r} keeps them"
        )


def fitting_normalizer(letters: str) -> NormalizerName:
    """The normaliser for a script: ``chinese`` where most letters are ideographs or kana, else ``unicode``."""
    unspaced = sum(" " in get_normalizer("chinese")(2 * letter) for letter in letters)
    return "chinese" if 2 * unspaced > len(letters) else "unicode"
