"""What a recogniser mistakes for what, learnt from its lists, and text corrupted in the same way.

References and hypotheses are aligned word by word; neighbouring differences are one *confusion*: the words that were
said and those that were heard instead, either of which may be none (an insertion, a deletion). A confusion's rate is
how often the words said were heard so, of all the times they were said. Words that no reference has are corrupted at
the recogniser's average rate by confusions of *pieces*: the letters that differ where one word was heard as another.

The hypotheses of a list share their errors. So for a whole list it is drawn first where any of them errs, and then
for each hypothesis whether it does; the ``spread`` is the mean share of a list's hypotheses that have an error which
one of them has.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_lm.errors import InputError
from asr_lm.lm.training.list_sizes import ListSizes

Words = tuple[str, ...]

SAME = 0.6
"""Share of the hypotheses with an error at one place that have the same one there; the others draw anew."""

_LONGEST = 5
"""Words of the longest confusion; longer differences are no confusion of words."""


@dataclass(frozen=True)
class Heard:
    """What was heard instead of some words, and how often. Attributes: rate: probability that anything else was."""

    rate: float
    texts: tuple[Words, ...]
    shares: np.ndarray

    def draw(self, random: np.random.Generator) -> Words:
        """One of the texts."""
        return self.texts[int(np.searchsorted(self.shares, random.random(), side="right"))]


@dataclass
class _Tally:
    words: dict[Words, Counter[Words]] = field(default_factory=lambda: defaultdict(Counter))
    pieces: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sizes: Counter[int] = field(default_factory=Counter)
    reference_words: int = 0
    gaps: int = 0
    changed_words: int = 0
    places: int = 0
    place_errors: float = 0.0


class Confusions:
    """A model of a recogniser's errors.

    Attributes:
        words: what was heard for words said; the empty tuple for insertions, whose rate is that of a gap.
        pieces: what was heard for some letters of a word.
        word_rate: share of the words said that were not heard as such.
        spread: see above.
        sizes: of lists.
    """

    def __init__(
        self,
        words: dict[Words, Heard],
        pieces: dict[str, Heard],
        known: frozenset[str],
        word_rate: float,
        spread: float,
        sizes: ListSizes,
    ) -> None:
        self.words, self.pieces, self.word_rate, self.spread, self.sizes = words, pieces, word_rate, spread, sizes
        self._known = known

    @classmethod
    def learn(cls, lists: Iterable[tuple[str, Sequence[str]]]) -> Confusions:
        """Confusions of lists.

        Args:
            lists: the normalised reference and hypotheses of each.

        Raises:
            InputError: no list has a hypothesis.
        """
        tally = _Tally()
        said: Counter[Words] = Counter()
        for reference, hypotheses in lists:
            words = tuple(reference.split())
            for length in range(1, _LONGEST + 1):
                for begin in range(len(words) - length + 1):
                    said[words[begin : begin + length]] += len(hypotheses)
            _count_list(tally, words, [tuple(hypothesis.split()) for hypothesis in hypotheses])
        if not tally.sizes:
            raise InputError("no list to learn confusions from")
        said[()] = tally.gaps
        return cls(
            {words: _heard(counts, said[words]) for words, counts in tally.words.items()},
            {piece: _heard(counts, sum(counts.values())) for piece, counts in tally.pieces.items()},
            frozenset(word for words in said for word in words),
            tally.changed_words / max(tally.reference_words, 1),
            tally.place_errors / tally.places if tally.places else 1.0,
            ListSizes(tally.sizes),
        )

    def corrupt(self, text: str, random: np.random.Generator) -> list[str]:
        """Hypotheses as the recogniser might have written them for ``text``, as many as its lists have."""
        size = self.sizes.draw(random)
        parts: list[list[Words]] = [[] for _ in range(size)]
        words = tuple(text.split())
        position = 0
        while position <= len(words):
            self._insert(parts, random)
            length = self._confused(words, position, random)
            said = words[position : position + max(length, 1)]
            heard = self._draw_all(said, size, random) if length else [said] * size
            for part, some in zip(parts, heard, strict=True):
                part.append(some)
            position += max(length, 1)
        return [" ".join(word for some in part for word in some) for part in parts]

    def _insert(self, parts: list[list[Words]], random: np.random.Generator) -> None:
        inserted = self.words.get(())
        if inserted is not None and random.random() < inserted.rate / self.spread:
            for part in parts:
                if random.random() < self.spread:
                    part.append(inserted.draw(random))

    def _confused(self, words: Words, position: int, random: np.random.Generator) -> int:
        """How many words from ``position`` on are confused together; 0 for none."""
        for length in range(min(_LONGEST, len(words) - position), 0, -1):
            heard = self.words.get(words[position : position + length])
            if heard is not None and random.random() < heard.rate / self.spread:
                return length
        unseen = position < len(words) and words[position] not in self._known
        return int(unseen and random.random() < self.word_rate / self.spread)

    def _draw_all(self, said: Words, size: int, random: np.random.Generator) -> list[Words]:
        """What each hypothesis has for words of which at least one has something else."""
        first = self._draw(said, random)
        heard = []
        for _ in range(size):
            if random.random() >= self.spread:
                heard.append(said)
            else:
                heard.append(first if random.random() < SAME else self._draw(said, random))
        return heard

    def _draw(self, said: Words, random: np.random.Generator) -> Words:
        if said in self.words:
            return self.words[said].draw(random)
        word = said[0]
        places = [
            (begin, piece)
            for length in range(1, min(3, len(word)) + 1)
            for begin in range(len(word) - length + 1)
            if (piece := word[begin : begin + length]) in self.pieces
        ]
        if not places:
            return ()
        begin, piece = places[int(random.integers(len(places)))]
        return tuple((word[:begin] + self.pieces[piece].draw(random)[0] + word[begin + len(piece) :]).split())


def _heard(counts: Counter[Words] | Counter[str], said: int) -> Heard:
    total = sum(counts.values())
    texts = tuple(text if isinstance(text, tuple) else (text,) for text in counts)
    return Heard(min(total / max(said, total), 1.0), texts, np.cumsum([count / total for count in counts.values()]))


def _count_list(tally: _Tally, reference: Words, hypotheses: Sequence[Words]) -> None:
    tally.sizes[len(hypotheses)] += 1
    wrong: Counter[int] = Counter()
    for hypothesis in hypotheses:
        tally.reference_words += len(reference)
        tally.gaps += len(reference) + 1
        for place, said, heard in differences(reference, hypothesis):
            if max(len(said), len(heard)) > _LONGEST:
                continue
            tally.words[said][heard] += 1
            tally.changed_words += len(said)
            wrong[place] += 1
            if len(said) == len(heard) == 1:
                for _, letters, others in differences(said[0], heard[0]):
                    if letters and len(letters) <= 3:
                        tally.pieces["".join(letters)]["".join(others)] += 1
    tally.places += len(wrong)
    tally.place_errors += sum(wrong.values()) / max(len(hypotheses), 1)


def differences(said: Sequence[str], heard: Sequence[str]) -> list[tuple[int, Words, Words]]:
    """Where two sequences differ in their best alignment: place in the first, what stands there in each."""
    from rapidfuzz.distance import Levenshtein

    merged: list[list[int]] = []
    for block in Levenshtein.opcodes(said, heard):
        if block.tag == "equal":
            continue
        if merged and merged[-1][1] == block.src_start and merged[-1][3] == block.dest_start:
            merged[-1][1], merged[-1][3] = block.src_end, block.dest_end
        else:
            merged.append([block.src_start, block.src_end, block.dest_start, block.dest_end])
    return [(a, tuple(said[a:b]), tuple(heard[c:d])) for a, b, c, d in merged]
