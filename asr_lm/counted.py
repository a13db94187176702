"""Numbers of things in messages: one of them is not several."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and what is counted.

    Args:
        number: how many.
        one: what one of them is called, with its verb where that follows.
        many: what several are called; None puts an s at the end.

    >>> counted(1, "utterance"), counted(2_000, "utterance"), counted(1, "utterance is", "utterances are")
    ('1 utterance', '2,000 utterances', '1 utterance is')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
