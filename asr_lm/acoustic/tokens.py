"""The tokens of a CTC recogniser: what a frame can say, and how words are written with it.

``tokens.txt`` has one token a line. Where they are not letters with ``|`` after every word and ``-`` as the blank,
``config.json`` beside it says so in ``tokens``, an object with any of

* ``words``: ``letters`` (a word end after each word; the default), ``pieces`` (SentencePiece: ``▁`` begins a word) or
  ``characters`` (each token is one character and words are not separated, as in Chinese: texts have no spaces);
* ``blank``: the blank's text, ``-`` by default;
* ``word_end``: the word end's text, ``|`` by default; for ``letters`` only;
* ``unwritten``: tokens that are no part of any text, such as ``<unk>`` and ``<sos/eos>``; they are never found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text, write_text
from asr_lm.json_files import read_json

BLANK = "-"
WORD_END = "|"
WORD_BEGIN = "▁"
TOKENS_FILE = "tokens.txt"
CONFIG_FILE = "config.json"

Writing = Literal["letters", "pieces", "characters"]

Spelt = tuple[tuple[int, ...], ...]
"""The tokens of each word of a hypothesis, without word ends."""


@dataclass(frozen=True)
class Tokens:
    """Tokens by number, by default as torchaudio's CTC bundles have them.

    Attributes:
        texts: text of every token.
        blank: the token that says nothing.
        word_end: the token after each word, where words are written in letters.
        words: how words are written; see above.
        unwritten: tokens that no text has.

    Raises:
        InputError: a token is there twice, blank or word end is missing, or a token does not fit ``words``.
    """

    texts: tuple[str, ...]
    blank: str = BLANK
    word_end: str = WORD_END
    words: Writing = "letters"
    unwritten: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.numbers) < len(self.texts):
            double = next(text for number, text in enumerate(self.texts) if self.numbers[text] != number)
            raise InputError(f"token {double!r} is there twice")
        ends = (self.word_end,) if self.has_word_ends else ()
        for text in (self.blank, *ends, *self.unwritten):
            if text not in self.numbers:
                raise InputError(f"no token {text!r}, expected one token a line")
        for text in self.texts:
            if text != self.blank and text not in self.unwritten and (wrong := self._misfit(text)):
                raise InputError(f"token {text!r} {wrong}; if it is no part of a text, say so in tokens.unwritten")

    def _misfit(self, text: str) -> str | None:
        if self.words == "characters" and len(text) != 1:
            return "is no single character"
        if self.words == "pieces" and WORD_BEGIN in text[1:]:
            return f"has {WORD_BEGIN} elsewhere than at its beginning"
        return None

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """The tokens of a file, one a line, written as ``config.json`` beside it says.

        Raises:
            InputError: the file cannot be read, or its tokens are not what they should be.
        """
        texts: dict[str, None] = {}
        empty = None
        for number, line in iterate_text(path):
            if line and empty is not None:
                raise InputError("empty line, expected one token a line", file=display_name(path), line=empty)
            if line in texts:
                raise InputError(f"token {line!r} is there twice", file=display_name(path), line=number)
            if line:
                texts[line] = None
            elif empty is None:
                empty = number
        described = _description(path.with_name(CONFIG_FILE))
        try:
            return cls(tuple(texts), **described)
        except InputError as error:
            raise InputError(error.message, file=display_name(path)) from None

    def write(self, folder: Path) -> None:
        """Write ``tokens.txt`` into a folder; ``config.json`` is to hold :meth:`description`."""
        write_text(folder / TOKENS_FILE, "".join(f"{text}\n" for text in self.texts))

    def description(self) -> dict[str, Any]:
        """What ``tokens`` in ``config.json`` has to say of them; empty where all is as by default."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "texts"}
        return {name: value for name, value in said.items() if value != getattr(Tokens, name)}

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
    def has_word_ends(self) -> bool:
        """Whether a token stands after each word."""
        return self.words == "letters"

    @property
    def word_end_number(self) -> int | None:
        """Number of the word end; None without one."""
        return self.numbers[self.word_end] if self.has_word_ends else None

    @cached_property
    def separator_number(self) -> int | None:
        """Number of the token that only tells words apart: the word end, or ``▁`` alone; None without one."""
        return self.numbers.get(WORD_BEGIN) if self.words == "pieces" else self.word_end_number

    @cached_property
    def silent(self) -> frozenset[str]:
        """Tokens that are no part of a word."""
        return frozenset((self.blank, *self.unwritten, *((self.word_end,) if self.has_word_ends else ())))

    def spelling(self, word: str) -> tuple[str, ...] | None:
        """How a word is written with the fewest tokens, in the case that they have; None where it cannot be."""
        if self.words == "pieces":
            forms = (WORD_BEGIN + form for form in (word, word.upper(), word.lower()))
            return next((pieces for form in forms if (pieces := self._fewest(form))), None)
        letters = []
        for letter in word:
            fitting = [form for form in (letter, letter.upper(), letter.lower()) if form in self.numbers]
            if not fitting or fitting[0] in self.silent:
                return None
            letters.append(fitting[0])
        return tuple(letters)

    def _fewest(self, text: str) -> tuple[str, ...] | None:
        """The fewest pieces that join to a text, of equally few those with the longest first."""
        longest = max(map(len, self.texts))
        rests: list[tuple[str, ...] | None] = [None] * len(text) + [()]
        for begin in range(len(text) - 1, -1, -1):
            for end in range(min(len(text), begin + longest), begin, -1):
                piece, rest = text[begin:end], rests[end]
                if rest is None or piece not in self.numbers or piece in self.silent:
                    continue
                best = rests[begin]
                if best is None or 1 + len(rest) < len(best):
                    rests[begin] = (piece, *rest)
        return rests[0]

    def spelt(self, numbers: Iterable[int]) -> Spelt:
        """Token numbers as words; what is no part of a word is left out."""
        words: list[list[int]] = [[]]
        for number in numbers:
            if number == self.blank_number or self.texts[number] in self.unwritten:
                continue
            if self.begins_word(number):
                words.append([])
            if number != self.word_end_number:
                words[-1].append(number)
        return tuple(tuple(word) for word in words if self.word(word))

    def begins_word(self, number: int) -> bool:
        """Whether a word begins with this token, or after it where it is a word end."""
        if self.has_word_ends:
            return number == self.word_end_number
        return self.words == "characters" or self.texts[number].startswith(WORD_BEGIN)

    def marked(self, word: tuple[int, ...]) -> tuple[int, ...]:
        """A word's tokens, and the word end after them where there is one."""
        return word if self.word_end_number is None else (*word, self.word_end_number)

    def sequence(self, spelt: Spelt) -> list[int]:
        """The tokens of a text's words, and a word end after each where there is one."""
        return [number for word in spelt for number in self.marked(word)]

    def units(self, spelt: Spelt) -> Spelt:
        """What is timed: words, or characters where words are not separated."""
        return tuple((number,) for word in spelt for number in word) if self.words == "characters" else spelt

    def word(self, numbers: Iterable[int]) -> str:
        """The text of a word."""
        text = "".join(self.texts[number] for number in numbers)
        return text.removeprefix(WORD_BEGIN) if self.words == "pieces" else text

    def text(self, words: Iterable[str]) -> str:
        """Words as one text: a space between them, or nothing where they are not separated."""
        return ("" if self.words == "characters" else " ").join(words)

    def written(self, spelt: Sequence[Sequence[int]]) -> str:
        """The text of words as they are spelt."""
        return self.text(map(self.word, spelt))


def _description(path: Path) -> Mapping[str, Any]:
    """What a configuration says of tokens."""
    if not path.exists():
        return {}
    config = read_json(path)
    said = config.get("tokens", {}) if isinstance(config, dict) else {}
    known = {each.name for each in fields(Tokens)} - {"texts"}
    if not isinstance(said, dict) or not said.keys() <= known:
        raise InputError(f"expected an object with any of {', '.join(sorted(known))}", file=path, field="tokens")
    if said.get("words", "letters") not in get_args(Writing):
        raise InputError(f"expected {', '.join(get_args(Writing))}", file=path, field="tokens.words")
    texts = said.get("unwritten", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError("expected a list of tokens", file=path, field="tokens.unwritten")
    return {**said, "unwritten": tuple(texts)}
