"""Confusion networks: a lattice as a row of slots, each with the words that compete there.

Mangu, Brill, Stolcke: Finding consensus in speech recognition (Computer Speech and Language 14, 2000), section 3. Arcs
are gathered into classes that respect the order of the lattice: first arcs of the same word and time, then classes of
the same word that overlap in time (intra-word clustering), then classes of different words that are alike
(inter-word clustering), until all classes stand in one row. Words are compared by their letters, since a lattice has
no pronunciations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from asr_lm.lattice.forward_backward import arc_log_posteriors
from asr_lm.lattice.lattice import EPSILON, Floats, Lattice
from asr_lm.lattice.pruning import prune_by_posterior

WordDistribution = dict[str, float]
"""Words that compete for a place, with their probabilities; that of the empty text is that nothing was said."""

LEAST_POSTERIOR = 1e-3
"""Arcs less likely than this are left out before clustering (section 3.2 of the paper)."""

_DRIFT = 1e-12


@dataclass(frozen=True)
class ConfusionNetwork:
    """Slots in the order of time.

    Attributes:
        id: of the utterance.
        slots: each a distribution over words.
    """

    id: str
    slots: tuple[WordDistribution, ...]

    def consensus(self) -> list[tuple[str, float]]:
        """The likeliest word of every slot where that is a word, with its probability."""
        best = (max(slot.items(), key=lambda item: (item[1], item[0])) for slot in self.slots)
        return [(word, share) for word, share in best if word]

    def text(self) -> str:
        """The words of the consensus."""
        return " ".join(word for word, _ in self.consensus())

    def expected_errors(self) -> float:
        """Expected errors of the consensus, slot by slot."""
        return float(sum(1 - max(slot.values()) for slot in self.slots))


def confusion_network(lattice: Lattice, weights: Floats, least: float = LEAST_POSTERIOR) -> ConfusionNetwork:
    """The confusion network of a lattice.

    Args:
        lattice: any lattice; without times of its arcs, their places in the lattice are taken.
        weights: of its arcs, scaled so that the paths' probabilities are right ``[arcs]``.
        least: arcs with a smaller posterior probability are left out.

    Raises:
        InputError: ``least`` is no probability.
    """
    pruned = prune_by_posterior(lattice.with_scores({_TOTAL: weights}), weights, least)
    classes = _Classes.of(pruned, pruned.scores[_TOTAL])
    classes = classes.merged_where_same()
    classes = classes.merged_by(classes.overlap)
    classes = classes.merged_by(classes.likeness)
    return ConfusionNetwork(lattice.id, tuple(classes.slots(pruned.symbols)))


_TOTAL = "total of all scores"


@dataclass(frozen=True)
class _Classes:
    """Classes of word arcs.

    Attributes:
        words: probability of each word of a class.
        begin, end: the time that a class spans ``[classes]``.
        before: whether one class stands before another ``[classes, classes]``; transitive, and never both ways.
        symbols: words by number.
    """

    words: list[dict[int, float]]
    begin: Floats
    end: Floats
    before: NDArray[np.bool_]
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, lattice: Lattice, weights: Floats) -> _Classes:
        """Every word arc a class of its own."""
        share = np.exp(arc_log_posteriors(lattice, weights))
        arcs = np.flatnonzero(lattice.word != EPSILON)
        reaches = _reaches(lattice)
        before = reaches[np.ix_(lattice.target[arcs], lattice.source[arcs])]
        level = lattice.levels.astype(np.float64)
        begin = np.where(np.isnan(lattice.begin), level[lattice.source], lattice.begin)[arcs]
        end = np.where(np.isnan(lattice.end), level[lattice.target], lattice.end)[arcs]
        words = [{int(lattice.word[arc]): float(share[arc])} for arc in arcs]
        return cls(words, begin, end, before, lattice.symbols)

    def __len__(self) -> int:
        return len(self.words)

    def merged_where_same(self) -> _Classes:
        """Arcs of the same word and times in one class; they cannot stand before one another."""
        keys = [(begin, end, *words) for begin, end, words in zip(self.begin, self.end, self.words, strict=True)]
        merger = _Merger(self)
        first: dict[tuple[float, ...], int] = {}
        for number, key in enumerate(keys):
            other = first.setdefault(key, number)
            if other != number and merger.may(other, number):
                merger.merge(other, number)
        return merger.result()

    def merged_by(self, similarity: Callable[[int, int], float]) -> _Classes:
        """Classes that are most alike are merged as long as two that are alike have no order."""
        merger = _Merger(self)
        values = np.full((len(self), len(self)), -np.inf)
        for first, second in np.argwhere(np.triu(~(self.before | self.before.T), 1)).tolist():
            values[first, second] = similarity(first, second)
        while len(self) and values.max() > -np.inf:
            first, second = divmod(int(values.argmax()), len(self))
            if not merger.may(first, second):
                values[first, second] = -np.inf
                continue
            merger.merge(first, second)
            # Of a merged class the likeness to others is that of its most alike part.
            joined = np.maximum(_symmetric(values, first), _symmetric(values, second))
            joined[[first, second]] = -np.inf
            for gone in (first, second):
                values[gone, :] = values[:, gone] = -np.inf
            values[:first, first], values[first, first + 1 :] = joined[:first], joined[first + 1 :]
        return merger.result()

    def overlap(self, first: int, second: int) -> float:
        """Likeness of two classes of one word: shared time, weighed by probabilities (equation 3)."""
        (word,), (other,) = self.words[first], self.words[second]
        if word != other:
            return -np.inf
        shared = min(self.end[first], self.end[second]) - max(self.begin[first], self.begin[second])
        spans = self.end[first] - self.begin[first] + self.end[second] - self.begin[second]
        if shared <= 0:
            return -np.inf
        return float(shared / spans * self.words[first][word] * self.words[second][other])

    def likeness(self, first: int, second: int) -> float:
        """Likeness of two classes of different words: that of their letters, weighed by probabilities (equation 4)."""
        pairs = [
            share * other_share * (_DRIFT + Levenshtein.normalized_similarity(self.symbols[word], self.symbols[other]))
            for word, share in self.words[first].items()
            for other, other_share in self.words[second].items()
        ]
        return float(np.mean(pairs))

    def slots(self, symbols: tuple[str, ...]) -> list[WordDistribution]:
        """The classes in their order, with what is missing to certainty as silence."""
        order = np.argsort(self.before.sum(axis=0), kind="stable")
        slots = []
        for number in order.tolist():
            slot = {symbols[word]: share for word, share in self.words[number].items()}
            slots.append({**slot, "": max(0.0, 1.0 - sum(slot.values()))})
        return slots


class _Merger:
    """Merges classes and keeps their order transitive."""

    def __init__(self, classes: _Classes) -> None:
        self.classes = classes
        self.words = [dict(words) for words in classes.words]
        self.begin, self.end = classes.begin.copy(), classes.end.copy()
        self.before = classes.before.copy()
        self.gone = np.zeros(len(classes), dtype=bool)

    def may(self, first: int, second: int) -> bool:
        """Whether two classes are there and have no order."""
        ordered = self.before[first, second] or self.before[second, first]
        return not (ordered or self.gone[first] or self.gone[second])

    def merge(self, first: int, second: int) -> None:
        """The second becomes part of the first."""
        for word, share in self.words[second].items():
            self.words[first][word] = self.words[first].get(word, 0.0) + share
        self.begin[first] = min(self.begin[first], self.begin[second])
        self.end[first] = max(self.end[first], self.end[second])
        self.gone[second] = True
        ahead = self.before[:, first] | self.before[:, second]
        behind = self.before[first] | self.before[second]
        self.before[ahead, first] = True
        self.before[first, behind] = True
        self.before[np.ix_(ahead, behind)] = True
        self.before[second] = self.before[:, second] = False

    def result(self) -> _Classes:
        """The classes that are left."""
        left = np.flatnonzero(~self.gone)
        words = [self.words[number] for number in left.tolist()]
        before = self.before[np.ix_(left, left)]
        return _Classes(words, self.begin[left], self.end[left], before, self.classes.symbols)


def _symmetric(values: Floats, number: int) -> Floats:
    """Row and column of an upper triangle as one."""
    return np.concatenate([values[:number, number], values[number, number:]])


def _reaches(lattice: Lattice) -> NDArray[np.bool_]:
    """Whether a path leads from one node to another, or they are the same ``[nodes, nodes]``."""
    reaches = np.eye(lattice.nodes, dtype=bool)
    for node in range(lattice.nodes - 2, -1, -1):
        targets = lattice.target[lattice.out_offsets[node] : lattice.out_offsets[node + 1]]
        reaches[node] |= reaches[targets].any(axis=0)
    return reaches
