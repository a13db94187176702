"""Texts near those of a list that the search of the first pass did not keep, found again in the sound.

A beam search gives up texts early, and a list repeats the same few differences. Where the emissions are at hand, texts
close to the best hypothesis can be scored exactly as it was. Three steps for an utterance:

1. Changes of the best hypothesis: each stretch in which another hypothesis differs from it, and, at words on which good
   hypotheses do not agree, words of the lexicon that are close by letters, in place of one word or of two neighbours.
2. Each change alone is scored. The ten that gain most are put together, up to four at once, where they touch different
   words.
3. The texts that come of these are scored, and the best join the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

Words = tuple[str, ...]

Score = Callable[[Sequence[Words]], dict[Words, float]]
"""Natural-log scores of texts under the first pass; texts that cannot be said are left out."""

AGREED = 12.0
"""A place is sure where all hypotheses that score at most so much below the best say the same."""

KEPT = 15.0
"""Texts that score more than this below the best hypothesis are no use."""

PROMISING = 10.0
"""Changes that together lose more than this, each on its own, are not tried together."""

_CHANGES, _AT_ONCE, _TRIED = 10, 4, 60
_CLOSE, _CLOSE_TO_TWO = 12, 4
_SHORT = 4
"""Words of up to so many letters may differ by one, longer ones by two."""


class Change(NamedTuple):
    """Other words in place of those from ``begin`` up to ``end``."""

    begin: int
    end: int
    words: Words


@dataclass
class NearTexts:
    """Finds texts near those of a list.

    Attributes:
        lexicon: the words that may be said.
        most: texts for an utterance, at most.
    """

    lexicon: Iterable[str]
    most: int = 20
    _by_length: dict[int, list[str]] = field(default_factory=dict, init=False)
    _close: dict[str, list[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for word in dict.fromkeys(self.lexicon):
            self._by_length.setdefault(len(word), []).append(word)

    def of(self, heard: dict[Words, float], score: Score) -> list[Words]:
        """Texts that are not in the list, the best first.

        Args:
            heard: the texts of the list with their scores, at least one.
            score: gives further texts theirs.
        """
        best = max(heard, key=heard.__getitem__)
        alone = {change: changed(best, (change,)) for change in self._changes(best, heard)}
        scores = score(sorted({text for text in alone.values() if text} - heard.keys()))
        known = heard | scores
        gains = {change: known[text] - heard[best] for change, text in alone.items() if text in known}
        chosen = sorted(gains, key=lambda change: -gains[change])[:_CHANGES]
        texts = {changed(best, together) for together in _together(chosen, gains)} - known.keys()
        scores = scores | score(sorted(text for text in texts if text))
        found = sorted(scores, key=lambda text: (-scores[text], text))
        return [text for text in found[: self.most] if scores[text] > heard[best] - KEPT]

    def close(self, word: str) -> list[str]:
        """Words of the lexicon that are close by letters, the closest first.

        >>> NearTexts(["ferry", "fairy", "fury", "late"]).close("fairy")
        ['fury', 'ferry']
        """
        if word not in self._close:
            most = 1 if len(word) <= _SHORT else 2
            among = [one for length in range(len(word) - most, len(word) + most + 1) for one in self._of_length(length)]
            found = process.extract(word, among, scorer=Levenshtein.distance, score_cutoff=most, limit=_CLOSE + 1)
            self._close[word] = [one for one, _, _ in found if one != word][:_CLOSE]
        return self._close[word]

    def _known(self, word: str) -> list[str]:
        return [word] if word in self._of_length(len(word)) else []

    def _of_length(self, length: int) -> list[str]:
        return self._by_length.get(length, [])

    def _changes(self, best: Words, heard: dict[Words, float]) -> dict[Change, None]:
        """All changes of the best hypothesis, each once."""
        return dict.fromkeys([*_differences(best, heard), *self._close_words(best, heard)])

    def _close_words(self, best: Words, heard: dict[Words, float]) -> Iterator[Change]:
        """Words close by letters where good hypotheses do not agree."""
        good = {text: value for text, value in heard.items() if value > heard[best] - AGREED}
        unsure = {place for change in _differences(best, good) for place in range(change.begin, change.end)}
        for place in sorted(unsure):
            for word in self.close(best[place]):
                yield Change(place, place + 1, (word,))
            for begin in (place - 1, place):
                if 0 <= begin < len(best) - 1:
                    joined = best[begin] + best[begin + 1]
                    for word in [*self._known(joined), *self.close(joined)[:_CLOSE_TO_TWO]]:
                        yield Change(begin, begin + 2, (word,))


def changed(text: Words, changes: Iterable[Change]) -> Words:
    """A text with changes that touch different words.

    >>> changed(("a", "fairy", "is", "late"), [Change(0, 1, ("the",)), Change(1, 2, ("ferry",))])
    ('the', 'ferry', 'is', 'late')
    """
    words = list(text)
    for begin, end, new in sorted(changes, reverse=True):
        words[begin:end] = new
    return tuple(words)


def _differences(best: Words, texts: Iterable[Words]) -> Iterator[Change]:
    """The stretches in which other texts differ from the best, and the words of stretches of the same length."""
    for text in texts:
        for stretch in _stretches(best, text):
            yield stretch
            if 1 < len(stretch.words) == stretch.end - stretch.begin:
                for place, word in enumerate(stretch.words, stretch.begin):
                    if best[place] != word:
                        yield Change(place, place + 1, (word,))


def _stretches(best: Words, text: Words) -> Iterator[Change]:
    """The longest stretches without a word in common, in order."""
    begin = start = 0
    for block in Levenshtein.opcodes(best, text).as_matching_blocks():
        if (begin, start) != (block.a, block.b):
            yield Change(begin, block.a, text[start : block.b])
        begin, start = block.a + block.size, block.b + block.size


def _together(changes: Sequence[Change], gains: dict[Change, float]) -> list[tuple[Change, ...]]:
    """The most promising ways to make several changes."""
    several = [
        together
        for count in range(2, _AT_ONCE + 1)
        for together in combinations(sorted(changes), count)
        if _apart(together) and sum(gains[change] for change in together) > -PROMISING
    ]
    several.sort(key=lambda together: -sum(gains[change] for change in together))
    return several[:_TRIED]


def _apart(changes: Sequence[Change]) -> bool:
    """Whether sorted changes touch different words; two of the same beginning do not."""
    return all(one.end <= other.begin and one.begin < other.begin for one, other in pairwise(changes))
