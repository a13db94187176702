"""What a recogniser hands over: utterances with ranked hypotheses.

The classes mirror the canonical n-best JSON, one object a line::

    {"id": "1089-134686-0000", "recording": "1089-134686", "reference": "he hoped there would be stew",
     "hypotheses": [{"text": "he hoped there would be stew", "scores": {"acoustic": -41.7, "lm": -20.3}}]}
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Hypothesis(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One transcript the recogniser considered.

    Attributes:
        text: the transcript as the recogniser wrote it; may be empty.
        scores: natural-log scores by name, larger is better; empty where only the rank is known.
        total: combined score of a rescored list, if any.
        times: ``(start, end)`` of each word of ``text``, or of each of its characters, in seconds from the
            utterance's start, where the recogniser gave them.
        corrected: a corrector wrote the text and the recogniser did not, so that it has none of the recogniser's
            scores.
        confidences: of each word of ``text``, or of each of its characters, that it is right, from 0 to 1, where
            they were computed.

    >>> Hypothesis("the ferry is late", {"acoustic": -41.7}).scores["acoustic"]
    -41.7
    """

    text: str
    scores: dict[str, float] = {}
    total: float | None = None
    times: tuple[tuple[float, float], ...] | None = None
    corrected: bool = False
    confidences: tuple[float, ...] | None = None


class Utterance(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One stretch of speech, its hypotheses best first, and what was really said where that is known.

    Attributes:
        id: unique in its file.
        hypotheses: at least one, in the recogniser's order (rank 0 first).
        reference: the transcript of a human, or None.
        recording: the recording the utterance was cut from; utterances of one recording come in spoken order.
        phrases: names and other words that are expected in it, where a second pass is to look for them.
        confidence: that no word of the first hypothesis is wrong, from 0 to 1, where it was computed.

    >>> heard = (Hypothesis("late again"), Hypothesis("late a gain"))
    >>> Utterance("u1", heard, reference="late again").hypotheses[0].text
    'late again'
    """

    id: str
    hypotheses: tuple[Hypothesis, ...]
    reference: str | None = None
    recording: str | None = None
    confidence: float | None = None
    phrases: tuple[str, ...] | None = None


def timed_words(hypothesis: Hypothesis) -> list[str]:
    """What ``times`` are of: the words, or, where that is their number, the characters (a script without spaces)."""
    words = hypothesis.text.split()
    characters = "".join(words)
    known = hypothesis.times is not None and len(hypothesis.times) != len(words)
    return list(characters) if known and len(hypothesis.times or ()) == len(characters) else words


def hypothesis_count(utterances: Iterable[Utterance]) -> int:
    """How many hypotheses utterances have together."""
    return sum(len(utterance.hypotheses) for utterance in utterances)
