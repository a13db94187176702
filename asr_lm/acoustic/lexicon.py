"""The words a search may find, each with its spellings in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text

LONGEST = 1000
"""Letters of a word, and tokens of a spelling: hundreds of times those of a long word."""


@dataclass(frozen=True)
class Lexicon:
    """Attributes: ``spellings`` of every word, without word ends; ``unspelt``, words left out for their letters."""

    spellings: dict[str, list[tuple[str, ...]]]
    unspelt: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, tokens: Tokens) -> Lexicon:
        """A file with a word on every line, alone (the fewest tokens spell it) or with its tokens after it.

        Raises:
            InputError: the file cannot be read, a word is longer than :data:`LONGEST`, a spelling has what is no token,
                or no word can be spelt.
        """
        # Dictionaries keep the order and each but once, however often a file repeats it.
        spellings: dict[str, dict[tuple[str, ...], None]] = {}
        unspelt: dict[str, None] = {}
        for number, line in iterate_text(path):
            word, *given = line.split() or [""]
            if not word:
                continue
            if max(len(word), len(given)) > LONGEST:
                message = f"a word of {max(len(word), len(given)):,} letters or tokens, expected {LONGEST:,} at most"
                raise InputError(message, file=display_name(path), line=number)
            if given and tokens.has_word_ends and given[-1] == tokens.word_end:
                given.pop()
            spelling = tuple(given) if given else tokens.spelling(word)
            if spelling is None:
                unspelt[word] = None
                continue
            strange = [text for text in spelling if text not in tokens.numbers or text in tokens.silent]
            if strange or not spelling:
                raise InputError(f"word {word!r} is spelt with {strange}", file=display_name(path), line=number)
            spellings.setdefault(word, {})[spelling] = None
        if not spellings:
            raise InputError("no word that the recogniser's tokens can spell", file=display_name(path))
        return cls({word: list(found) for word, found in spellings.items()}, tuple(unspelt))

    def numbered(self, tokens: Tokens) -> dict[str, list[tuple[int, ...]]]:
        """The spellings as token numbers."""
        return {
            word: [tuple(tokens.numbers[text] for text in spelling) for spelling in spellings]
            for word, spellings in self.spellings.items()
        }
