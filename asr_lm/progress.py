"""What long work tells whoever waits for it."""

from __future__ import annotations

import logging
from typing import Protocol

_LOGGER = logging.getLogger("asr_lm")
_LOGGER.addHandler(logging.NullHandler())


class Progress(Protocol):
    """Somebody who is told how the work goes."""

    def scored(self, model: str, hypotheses: int, *, kept: bool = False) -> None:
        """So many more hypotheses are scored with the model of this name; ``kept``: their scores were there before."""

    def joined(self, given: int, hypotheses: int) -> None:
        """Lists in which so many hypotheses were given have so many, now that others joined them."""

    def warn(self, message: str) -> None:
        """Something a reader must know although it stops nothing."""


class Logged:
    """Says nothing of progress; warnings go to the logger ``asr_lm``, silent until a program asks for them."""

    def scored(self, model: str, hypotheses: int, *, kept: bool = False) -> None:
        """See :class:`Progress`."""

    def joined(self, given: int, hypotheses: int) -> None:
        """See :class:`Progress`."""

    def warn(self, message: str) -> None:
        """See :class:`Progress`."""
        _LOGGER.warning(message)
