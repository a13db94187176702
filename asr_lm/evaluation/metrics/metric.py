"""What an error rate is: the unit that is counted, and what the rate is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """An error rate: Levenshtein distance over units, divided by the units of the reference.

    Attributes:
        unit: what is counted, in the singular; ``--unit`` takes it, and ``reference_{unit}s`` is a key in
            JSON.
        short: the rate in tables, such as WER; in lower case it is the rate's key in the JSON form.
        long: the rate in a sentence.
        about: what counts as one unit, as the help says it.
        tokens: the units of a text, in order.
        separator: what stands between units where a text is written with no more than what is counted; no unit holds
            it.
    """

    unit: str
    short: str
    long: str
    about: str
    tokens: Callable[[str], list[str]]
    separator: str

    @property
    def key(self) -> str:
        """Key of the rate in the JSON form."""
        return self.short.lower()

    @property
    def as_is(self) -> str:
        """What is done to a text before it is counted, besides what a normaliser does."""
        return f"with white space {'collapsed' if self.separator else 'dropped'} and nothing else"

    def compared(self, text: str) -> str:
        """The text with nothing in it that is not counted."""
        return self.separator.join(self.tokens(text))
