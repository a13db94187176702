"""The one error a user is meant to read."""

from __future__ import annotations


class InputError(Exception):
    """Something the user gave is not usable; the message says where it stands and what was expected.

    Args:
        message: what is wrong and what was expected, one sentence, no trailing full stop.
        file: path of the offending file (``<stdin>`` for standard input).
        line: line number in that file, from 1.
        utterance: id of the offending utterance.
        field: field within the record, in dotted form (``hypotheses[3].scores.acoustic``), or an option of the command
            (``--learning-rate``).

    Commands print ``str(error)`` and exit with code 2.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        line: int | None = None,
        utterance: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.utterance = utterance
        self.field = field

    @property
    def is_about_option(self) -> bool:
        """Whether :attr:`field` is an option of the command."""
        return self.field is not None and self.field.startswith("--")

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
        parts = [place] if place else []
        if self.utterance is not None:
            parts.append(f"utterance {self.utterance!r}")
        if self.field is not None:
            parts.append(self.field if self.is_about_option else f"field {self.field}")
        return ": ".join([", ".join(parts), self.message]) if parts else self.message
