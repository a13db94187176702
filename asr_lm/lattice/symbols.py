"""Words and their numbers: ``words.txt`` of Kaldi and OpenFst, and the names of silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text

SILENT = frozenset(
    ("", "<eps>", "<epsilon>", "-", "#0", "!NULL", "<s>", "</s>", "!SENT_START", "!SENT_END", "!ENTER", "!EXIT")
)
"""What lattices call an arc that says nothing."""


_NUMBER = re.compile("[0-9]{1,10}")


class Symbols:
    """Words numbered as they come; silence has number 0.

    Args:
        silent: texts that say nothing, besides :data:`SILENT`.
    """

    def __init__(self, silent: Iterable[str] = ()) -> None:
        self._silent = SILENT | set(silent)
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        """The number of a word, a new one where need be."""
        if text in self._silent:
            return 0
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> tuple[str, ...]:
        """The words by number."""
        return tuple(self._numbers)


def read_words(path: str | Path) -> dict[int, str]:
    """A symbol table: a word and its number on every line.

    Raises:
        InputError: a line is something else, or a number or a word comes twice.
    """
    words: dict[int, str] = {}
    seen: set[str] = set()
    for line, text in iterate_text(path):
        fields = text.split()
        if not fields:
            continue
        if len(fields) != 2 or not _NUMBER.fullmatch(fields[1]):
            raise InputError(f"expected a word and its number, found {text!r}", file=display_name(path), line=line)
        word, number = fields[0], int(fields[1])
        if number in words or word in seen:
            double = str(number) if number in words else repr(word)
            raise InputError(f"{double} comes twice", file=display_name(path), line=line)
        words[number] = word
        seen.add(word)
    if not words:
        raise InputError("no words", file=display_name(path))
    return words


def word_of(number: int, words: Mapping[int, str] | None) -> str:
    """The word of a number.

    Raises:
        InputError: it is not in the table, or there is no table.
    """
    if number == 0:
        return ""
    if words is None:
        raise InputError("its words are numbers; give the table of words (words.txt)", parameter="words")
    if number not in words:
        raise InputError(f"word {number} is not in the table of words")
    return words[number]
