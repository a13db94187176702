"""The tokens of a CTC recogniser: what a frame can say, and how words are spelt with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text

BLANK = "-"
WORD_END = "|"

Spelt = tuple[tuple[int, ...], ...]
"""The tokens of each word of a hypothesis, without word ends."""


@dataclass(frozen=True)
class Tokens:
    """Tokens by number, as torchaudio's CTC bundles have them.

    Attributes:
        texts: text of every token.
        blank: the token that says nothing.
        word_end: the token between words.
    """

    texts: tuple[str, ...]
    blank: str = BLANK
    word_end: str = WORD_END

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """The tokens of a file, one a line.

        Raises:
            InputError: the file cannot be read, a token is there twice, or blank or word end is missing.
        """
        texts = [line for _, line in iterate_text(path)]
        while texts and not texts[-1]:
            texts.pop()
        tokens = cls(tuple(texts))
        for text in (tokens.blank, tokens.word_end):
            if text not in texts:
                raise InputError(f"no token {text!r}, expected one token a line", file=display_name(path))
        for line, text in enumerate(texts, 1):
            if not text or text in texts[: line - 1]:
                message = f"token {text!r} is there twice" if text else "empty line, expected one token a line"
                raise InputError(message, file=display_name(path), line=line)
        return tokens

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of every token."""
        return {text: number for number, text in enumerate(self.texts)}

    @property
    def blank_number(self) -> int:
        """Number of the blank."""
        return self.numbers[self.blank]

    @property
    def word_end_number(self) -> int:
        """Number of the word end."""
        return self.numbers[self.word_end]

    def spelling(self, word: str) -> tuple[str, ...] | None:
        """The letters of a word, in the case that the tokens have; None where a letter is no token."""
        letters = []
        for letter in word:
            fitting = [form for form in (letter, letter.upper(), letter.lower()) if form in self.numbers]
            if not fitting or fitting[0] in (self.blank, self.word_end):
                return None
            letters.append(fitting[0])
        return tuple(letters)

    def spelt(self, numbers: Iterable[int]) -> Spelt:
        """Token numbers, word ends between them, as words; blanks are left out and empty words, too."""
        words: list[list[int]] = [[]]
        for number in numbers:
            if number == self.word_end_number:
                words.append([])
            elif number != self.blank_number:
                words[-1].append(number)
        return tuple(tuple(word) for word in words if word)

    def sequence(self, spelt: Spelt) -> list[int]:
        """The tokens that a text's CTC score is of: its words, a word end after each and none before the first."""
        return [number for word in spelt for number in (*word, self.word_end_number)]

    def text(self, spelt: Sequence[Sequence[int]]) -> str:
        """Words as they are spelt, a space between them."""
        return " ".join("".join(self.texts[number] for number in word) for word in spelt)
