"""Near misses: what the recogniser wrote where a listed phrase may have been said.

A stretch of words whose letters are close to those of a listed phrase is replaced by it, and the new text joins the
list as one more hypothesis. It has the first-pass scores of its closest neighbour, as every text that the recogniser
did not write, and two features say what was risked: how far the letters are apart, and how many hypotheses have the
words that were replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.phrases.letters import letter_distance
from asr_lm.rescoring.phrases.phrase_list import Phrase, PhraseList, folded

PARENTS = 3
"""Hypotheses of a list that are looked through, the recogniser's first ones."""

MOST = 20
"""Hypotheses that are added to a list, at most; those of the closest letters."""

FARTHEST = 0.4
"""Letters that may differ, as a share of the longer spelling."""

SHORTEST = 4
"""Letters of the shortest phrase that a near miss may become: shorter ones are close to too much."""

CLOSEST, PHRASES_EACH = 10, 3
"""Near misses of one text, and phrases of one stretch, that are weighed; the closest ones."""

LONGEST = 3
"""Words of the longest stretch that is replaced."""


@dataclass(frozen=True)
class Rewritten:
    """A text in which near misses have become phrases.

    Attributes:
        text: as the recogniser would write it.
        distance: of the letters that were changed, see :mod:`asr_lm.rescoring.phrases.letters`, and of words that were
            joined or cut apart, 1 each.
        agreement: share of the list's hypotheses that have the words that were replaced, summed over the replacements.
    """

    text: str
    distance: float
    agreement: float


@dataclass(frozen=True)
class _Miss:
    begin: int
    end: int
    phrase: Phrase
    distance: float


def add_near_misses(utterance: Utterance, phrases: PhraseList) -> tuple[Utterance, list[Rewritten]]:
    """The utterance with hypotheses in which near misses are the phrases, and these, in order."""
    heard = {" ".join(found.text.split()): found.corrected for found in utterance.hypotheses}
    written = _Written.of([text for text, corrected in heard.items() if not corrected])
    new: dict[str, Rewritten] = {}
    for text in written.texts[:PARENTS]:
        for found in _rewritten(text.split(), written, phrases):
            if found.text not in heard and (found.text not in new or found.distance < new[found.text].distance):
                new[found.text] = found
    kept = sorted(new.values(), key=lambda found: found.distance)[:MOST]
    added = tuple(Hypothesis(found.text, corrected=True) for found in kept)
    return msgspec.structs.replace(utterance, hypotheses=(*utterance.hypotheses, *added)), kept


@dataclass(frozen=True)
class _Written:
    """What the recogniser wrote: distinct texts, and the case it writes in."""

    texts: tuple[str, ...]
    case: Callable[[str], str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Written:
        return cls(tuple(texts), case_of(" ".join(texts)))

    def share(self, stretch: Sequence[str]) -> float:
        """Share of the texts that have a stretch of words."""
        wanted = f" {' '.join(stretch)} "
        return sum(wanted in f" {text} " for text in self.texts) / len(self.texts)


def case_of(written: str) -> Callable[[str], str]:
    """What puts a phrase into the case of a recogniser's text: all small, all large, or as it is listed."""
    if written == written.lower():
        return str.lower
    return str.upper if written == written.upper() else str


def _rewritten(words: Sequence[str], written: _Written, phrases: PhraseList) -> Iterator[Rewritten]:
    """A text with each near miss corrected alone, and with the closest two, three and so on."""
    together: list[_Miss] = []
    for miss in sorted(_misses(words, phrases), key=lambda miss: miss.distance)[:CLOSEST]:
        yield _with(words, [miss], written)
        if all(miss.end <= other.begin or other.end <= miss.begin for other in together):
            together.append(miss)
            if len(together) > 1:
                yield _with(words, together, written)


def _misses(words: Sequence[str], phrases: PhraseList) -> Iterator[_Miss]:
    """Stretches close to a listed phrase, where no listed phrase stands already; of a stretch the closest one."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    read = [folded(word) for word in words]
    taken = {place + offset for place, found in phrases.matches(read) for offset in range(len(found.words))}
    stretches = [
        (begin, end)
        for begin in range(len(words))
        for end in range(begin + 1, min(begin + LONGEST, len(words)) + 1)
        if not taken.intersection(range(begin, end))
    ]
    spelled = phrases.spelled(SHORTEST)
    if not spelled or not stretches:
        return
    spellings = list(spelled)
    heard = ["".join(read[begin:end]) for begin, end in stretches]
    distances = cdist(heard, spellings, scorer=Levenshtein.normalized_distance, score_cutoff=FARTHEST, dtype=np.float32)
    closest = distances.min(1)
    for row in np.argsort(closest, kind="stable")[: 2 * CLOSEST].tolist():
        if closest[row] <= FARTHEST:
            near = np.argsort(distances[row], kind="stable")[:PHRASES_EACH].tolist()
            distance, column = min((letter_distance(heard[row], spellings[column]), column) for column in near)
            begin, end = stretches[row]
            phrase = spelled[spellings[column]]
            yield _Miss(begin, end, phrase, distance + abs(end - begin - len(phrase.words)))


def _with(words: Sequence[str], misses: Sequence[_Miss], written: _Written) -> Rewritten:
    found = list(words)
    for miss in sorted(misses, key=lambda miss: -miss.begin):
        found[miss.begin : miss.end] = written.case(miss.phrase.text).split()
    agreement = sum(written.share(words[miss.begin : miss.end]) for miss in misses)
    return Rewritten(" ".join(found), sum(miss.distance for miss in misses), agreement)
