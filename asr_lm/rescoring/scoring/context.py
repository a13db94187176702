"""What was said before an utterance, as far as the recogniser knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance

Context = tuple[str, ...]
"""Texts of the utterances before one in its recording, the oldest first."""


class SpokenBefore:
    """Remembers what each recording said last.

    It is told the utterances of a list in order, all of them, in shards of any size. An utterance said what the first
    pass took for the best; references are never looked at, so what is known here is known when a list without
    references is rescored. Recordings do not mix, even where their utterances alternate.

    Args:
        utterances: how many utterances to look back.

    Raises:
        InputError: a number below 1.
    """

    def __init__(self, utterances: int) -> None:
        if utterances < 1:
            raise InputError(f"expected a number of utterances above 0, not {utterances}", parameter="context")
        self._utterances = utterances
        self._said: dict[str, deque[str]] = {}

    def contexts(self, utterances: Iterable[Utterance]) -> list[Context]:
        """What was said before each of the next utterances ``[utterances]``; nothing before a recording's first.

        Raises:
            InputError: an utterance without a recording.
        """
        return [self._next(utterance) for utterance in utterances]

    def _next(self, utterance: Utterance) -> Context:
        if utterance.recording is None:
            raise InputError(
                "no recording, so what was said before is not known: give every utterance its recording, in spoken "
                "order, or leave out the context",
                utterance=utterance.id,
                field="recording",
            )
        said = self._said.setdefault(utterance.recording, deque(maxlen=self._utterances))
        context = tuple(said)
        said.append(utterance.hypotheses[0].text)
        return context
