"""The one error a user is meant to read."""

from __future__ import annotations

from typing import Any


class InputError(Exception):
    """Something the user gave is not usable; the message says where it stands and what was expected.

    Args:
        message: what is wrong and what was expected, one sentence, no trailing full stop.
        file: path of the offending file (``<stdin>`` for standard input).
        line: line number in that file, from 1.
        utterance: id of the offending utterance.
        field: field within the record, in dotted form (``hypotheses[3].scores.acoustic``).
        parameter: the parameter of a function that was given wrongly (``learning_rate``); commands print it as the
            option that sets it (``--learning-rate``).

    Commands print the message and exit with code 2.

    >>> raise InputError("-4, expected above 0", file="dev.json", line=3, utterance="u1", field="scores.lm")
    Traceback (most recent call last):
    asr_lm.errors.InputError: dev.json:3, utterance 'u1', field scores.lm: -4, expected above 0
    """

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        line: int | None = None,
        utterance: str | None = None,
        field: str | None = None,
        parameter: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.utterance = utterance
        self.field = field
        self.parameter = parameter

    def located(self, **place: Any) -> InputError:
        """The same error with what was not known of its place: ``file``, ``line``, ``utterance`` and so on.

        What the error names already stays.

        >>> str(InputError("empty", line=2).located(file="dev.json", line=7))
        'dev.json:2: empty'
        """
        known = {name: getattr(self, name) for name in ("file", "line", "utterance", "field", "parameter")}
        return InputError(
            self.message, **{name: place.get(name) if old is None else old for name, old in known.items()}
        )

    @property
    def is_about_option(self) -> bool:
        """Whether it is about how something was asked for, not about a file."""
        return self.parameter is not None or (self.field is not None and self.field.startswith("--"))

    @property
    def place(self) -> list[str]:
        """File and line, utterance, field and parameter, as far as they are known."""
        where = self.file or ""
        if self.line is not None:
            where += f":{self.line}" if where else f"line {self.line}"
        parts = [where] if where else []
        if self.utterance is not None:
            parts.append(f"utterance {self.utterance!r}")
        if self.field is not None:
            parts.append(self.field if self.field.startswith("--") else f"field {self.field}")
        if self.parameter is not None:
            parts.append(self.parameter)
        return parts

    def __str__(self) -> str:
        return ": ".join([", ".join(self.place), self.message]) if self.place else self.message
