"""Words that the rest of a recording holds, as a score of hypotheses.

What is spoken of comes again: names and rare words above all. A unigram cache model (Kuhn and De Mori 1990, equation 1,
with one class) gives a word the probability

    ``P(w) = (1 - share) unigram(w) + share cache(w)``

where ``unigram`` counts a text and ``cache`` what the recogniser heard in the utterances before *and* after this one,
which a second pass knows, never in this one. Counts of an utterance are those of its whole list, a hypothesis of rank
``r`` weighing ``1 / (1 + r)``, and fall by ``exp(-distance / reach)`` with the utterances between. The score is the sum
of ``log(P(w) / unigram(w))`` over the words of a hypothesis: what the recording says besides what a language model
knows already. References are never looked at. The share and the reach were chosen on folds of one development list
(LibriSpeech CTC), where shares of 0.02 to 0.1 and reaches of 5, 8, 15 and without end were about as good.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.training.corpus import read_lines
from asr_lm.rescoring.features.table import RECORDING
from asr_lm.rescoring.phrases.phrase_list import phrase_words

SHARE = 0.1
"""Of the cache in the probability of a word."""

REACH = 8.0
"""Utterances over which a count falls to 1 / e of itself."""

_FARTHEST = 5
"""Reaches beyond which nothing is counted: less than a hundredth of it would be left."""

_UNSEEN = 0.5
"""Count of words that the text lacks."""


class RecordingWords:
    """Scores hypotheses by the words of the rest of their recording.

    Args:
        counts: how often each word stands in a text; compared without case and punctuation marks.

    Raises:
        InputError: no words.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._total = counts.total()
        if not self._total:
            raise InputError("no words in the text", parameter="recording_words")

    @classmethod
    def of_texts(cls, paths: Sequence[str | Path]) -> RecordingWords:
        """With the words of text files, one sentence a line.

        Raises:
            InputError: one cannot be read, is not UTF-8, is JSON, or has no words.
        """
        counts: Counter[str] = Counter()
        for path in paths:
            found = Counter(word for line in read_lines(path) for word in line.split())
            if not found:
                raise InputError("no words", file=display_name(path), parameter="recording_words")
            for word, count in found.items():
                for compared in phrase_words(word):
                    counts[compared] += count
        return cls(counts)

    def scored(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        """The utterances of a whole list, every hypothesis with the score :data:`RECORDING`; 0 where nothing else of
        the recording was heard.

        Raises:
            InputError: an utterance has no recording, or a score is called so already.
        """
        recordings: dict[str, list[int]] = defaultdict(list)
        for number, utterance in enumerate(utterances):
            recordings[_recording(utterance)].append(number)
        found: list[Utterance] = list(utterances)
        for members in recordings.values():
            heard = [_heard(utterances[number]) for number in members]
            for place, number in enumerate(members):
                found[number] = self._scored(utterances[number], _around(heard, place))
        return found

    def _scored(self, utterance: Utterance, cache: Mapping[str, float]) -> Utterance:
        total = math.fsum(cache.values())
        gains: dict[str, float] = {}

        def gain(word: str) -> float:
            if word not in gains:
                unigram = (self._counts[word] or _UNSEEN) / self._total
                gains[word] = math.log(1 - SHARE + SHARE * cache.get(word, 0.0) / total / unigram)
            return gains[word]

        hypotheses = []
        for one in utterance.hypotheses:
            score = math.fsum(map(gain, phrase_words(one.text))) if total else 0.0
            hypotheses.append(msgspec.structs.replace(one, scores={**one.scores, RECORDING: score}))
        return msgspec.structs.replace(utterance, hypotheses=tuple(hypotheses))


def _recording(utterance: Utterance) -> str:
    if utterance.recording is None:
        raise InputError(
            "no recording, so the rest of it is not known: give every utterance its recording, in spoken order, or "
            "leave out the recording's words",
            utterance=utterance.id,
            field="recording",
        )
    for number, hypothesis in enumerate(utterance.hypotheses):
        if RECORDING in hypothesis.scores:
            raise InputError(
                f"a score is called {RECORDING!r} already, as that of the recording's words would be",
                utterance=utterance.id,
                field=f"hypotheses[{number}].scores.{RECORDING}",
            )
    return utterance.recording


def _heard(utterance: Utterance) -> dict[str, float]:
    """How often each word was heard, hypotheses weighed by rank; corrected ones were not heard."""
    counts: dict[str, float] = defaultdict(float)
    heard = [one.text for one in utterance.hypotheses if not one.corrected]
    whole = math.fsum(1 / (1 + rank) for rank in range(len(heard)))
    for rank, text in enumerate(heard):
        for word in phrase_words(text):
            counts[word] += 1 / (1 + rank) / whole
    return counts


def _around(heard: Sequence[Mapping[str, float]], place: int) -> dict[str, float]:
    """The counts of the utterances before and after one of a recording."""
    farthest = int(_FARTHEST * REACH)
    cache: dict[str, float] = defaultdict(float)
    for other in range(max(0, place - farthest), min(len(heard), place + farthest + 1)):
        if other != place:
            weight = math.exp(-abs(other - place) / REACH)
            for word, count in heard[other].items():
                cache[word] += weight * count
    return cache
