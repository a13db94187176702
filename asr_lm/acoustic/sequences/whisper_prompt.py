"""What Whisper is asked: the special tokens before its text (Radford et al. 2022, Robust speech recognition via
large-scale weak supervision, figure 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from asr_lm.acoustic.options import DecodingOptions
from asr_lm.errors import InputError

START = "<|startoftranscript|>"
NO_TIMES = "<|notimestamps|>"
END = "<|endoftext|>"

MOST_OF_ENGLISH = 51_864
"""Tokens of a published Whisper of English alone; those of several languages have more."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


@dataclass(frozen=True)
class WhisperPrompt:
    """The special tokens of a Whisper model.

    Attributes:
        numbers: of its special tokens.
        multilingual: whether it takes a language and a task; models of English alone have the tokens, too.

    Raises:
        InputError: a token that Whisper has is missing.
    """

    numbers: Mapping[str, int]
    multilingual: bool

    def __post_init__(self) -> None:
        for token in (START, NO_TIMES, END):
            if token not in self.numbers:
                raise InputError(f"the vocabulary has no token {token}, which Whisper's has")

    @cached_property
    def languages(self) -> dict[str, int]:
        """The token of each language that it knows; empty for a model of one language."""
        found = {token: _LANGUAGE.fullmatch(token) for token in self.numbers} if self.multilingual else {}
        return {match[1]: self.numbers[token] for token, match in found.items() if match}

    def check(self, options: DecodingOptions) -> None:
        """Refuse a language or a task that the model does not know.

        Raises:
            InputError: it does not.
        """
        if not self.multilingual:
            options.refuse(("task",), "a Whisper model of one language")
            if options.language not in (None, "en"):
                raise InputError("this Whisper model knows English only", parameter="language")
        elif options.language is not None and options.language not in self.languages:
            raise InputError(
                f"the model knows no {options.language!r}; expected one of {', '.join(sorted(self.languages))}",
                parameter="language",
            )

    def tokens(self, language: int | None, options: DecodingOptions) -> list[int]:
        """The prompt.

        Args:
            language: token of the language that is spoken; None for a model of one language.
            options: have the task.
        """
        asked = [] if language is None else [language, self.numbers[f"<|{options.task}|>"]]
        return [self.numbers[START], *asked, self.numbers[NO_TIMES]]
