"""A list of phrases, and where a text holds them.

Words are compared without case and without punctuation at their ends, so that a list in any writing serves a recogniser
of any other. A longer phrase goes before those within it, and no word counts twice.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.validation import decimal

_PUNCTUATION = '.,;:!?"“”„«»()[]'

Words = tuple[str, ...]


def folded(word: str) -> str:
    """A word as it is compared."""
    return word.casefold().strip(_PUNCTUATION)


@cache
def phrase_words(text: str) -> Words:
    """Words of a phrase as they are compared."""
    return tuple(filter(None, map(folded, text.split())))


@dataclass(frozen=True)
class Phrase:
    """A phrase as it is written, and how much it counts beside others."""

    text: str
    weight: float = 1.0

    @property
    def worth(self) -> float:
        """Weight times length: a quarter for every letter of a word beyond its second.

        Short words stand in hypotheses by chance, so that they are worth less than long ones.
        """
        return self.weight * sum(max(len(word) - 2, 1) for word in self.words) / 4

    @property
    def words(self) -> Words:
        """Its words as they are compared; those of punctuation alone are none."""
        return phrase_words(self.text)


@dataclass(frozen=True)
class PhraseList:
    """Phrases, each once; of equal ones the first counts.

    Attributes:
        phrases: in the order given; those without a word are left out.
    """

    phrases: tuple[Phrase, ...] = ()

    @classmethod
    def of(cls, phrases: Iterable[Phrase]) -> PhraseList:
        """A list of phrases."""
        found: dict[Words, Phrase] = {}
        for phrase in phrases:
            if phrase.words:
                found.setdefault(phrase.words, phrase)
        return cls(tuple(found.values()))

    @classmethod
    def read(cls, path: Path) -> PhraseList:
        """One phrase a line, with a tab and a weight behind it where it counts more or less than others.

        Raises:
            InputError: the file cannot be read, or a weight is no positive number.
        """
        return cls.of(_lines(path))

    def __len__(self) -> int:
        return len(self.phrases)

    def __add__(self, other: PhraseList) -> PhraseList:
        return PhraseList.of((*self.phrases, *other.phrases)) if other.phrases else self

    @cached_property
    def by_words(self) -> Mapping[Words, Phrase]:
        """The phrases by their words."""
        return {phrase.words: phrase for phrase in self.phrases}

    @cached_property
    def _lengths(self) -> Mapping[str, Sequence[int]]:
        """Lengths of the phrases that begin with a word, the longest first."""
        found: dict[str, set[int]] = {}
        for words in self.by_words:
            found.setdefault(words[0], set()).add(len(words))
        return {word: sorted(lengths, reverse=True) for word, lengths in found.items()}

    @cached_property
    def single_words(self) -> frozenset[str]:
        """All words of the phrases, as they are compared."""
        return frozenset(word for words in self.by_words for word in words)

    def spelled(self, shortest: int) -> Mapping[str, Phrase]:
        """The phrases by their letters, those of fewer than ``shortest`` left out."""
        letters = {"".join(words): phrase for words, phrase in self.by_words.items()}
        return {spelling: phrase for spelling, phrase in letters.items() if len(spelling) >= shortest}

    def matches(self, words: Sequence[str]) -> Iterator[tuple[int, Phrase]]:
        """Place and phrase of each listed phrase in a text; the longest at each place.

        Args:
            words: as they are compared.
        """
        place = 0
        while place < len(words):
            phrase = self._at(words, place)
            if phrase is not None:
                yield place, phrase
            place += len(phrase.words) if phrase else 1

    def _at(self, words: Sequence[str], place: int) -> Phrase | None:
        for length in self._lengths.get(words[place], ()):
            if (phrase := self.by_words.get(tuple(words[place : place + length]))) is not None:
                return phrase
        return None

    def gain(self, text: str, left_out: Collection[Words] = ()) -> float:
        """What the listed phrases in a text are worth: each by its length and its weight; some may be left out.

        >>> PhraseList.of([Phrase("Port Ellen"), Phrase("Ellen", 0.5)]).gain("from port ellen, said Ellen")
        1.625
        """
        return sum(phrase.worth for phrase in self.within(text) if phrase.words not in left_out)

    def within(self, text: str) -> Iterator[Phrase]:
        """The listed phrases in a text, in order."""
        return (phrase for _, phrase in self.matches([folded(word) for word in text.split()]))


def _lines(path: Path) -> Iterator[Phrase]:
    for number, line in iterate_text(path):
        text, tab, weight = line.rstrip("\n").partition("\t")
        value = decimal(weight.strip()) if tab else 1.0
        if value is None or not (value > 0 and math.isfinite(value)):
            message = f"the weight {weight.strip()!r} is no positive number"
            raise InputError(message, file=display_name(path), line=number)
        yield Phrase(text.strip(), value)
