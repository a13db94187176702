"""The exact n-best word sequences of a lattice.

A word sequence may run along very many paths (other times, other pronunciations), so the search is over prefixes of
words, not over paths: a prefix is the set of nodes it may have reached, each with the best score of reaching it, which
is a state of the lattice's weighted determinisation (Mohri 1997), made when it is first asked for (Mohri and Riley
2002). Prefixes are taken in the order of their best completion, which the backward scores tell exactly (A*), so none is
expanded that does not begin one of the n best.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.forward_backward import backward, through_arcs
from asr_lm.lattice.lattice import EPSILON, Floats, Lattice


@dataclass(frozen=True)
class LatticePath:
    """A path through a lattice.

    Attributes:
        arcs: in order.
        score: sum of their weights.
    """

    arcs: NDArray[np.int64]
    score: float


_Reached = dict[int, tuple[float, int]]
"""Best score of reaching a node, and the arc that reached it last."""


@dataclass(frozen=True)
class _Prefix:
    """A sequence of words, and where it may end.

    Attributes:
        reached: nodes at which it may end.
        before: the sequence without its last word; None for the empty one.
    """

    reached: _Reached
    before: _Prefix | None


def nbest(lattice: Lattice, weights: Floats, count: int) -> list[LatticePath]:
    """The best paths of the best ``count`` different word sequences, best first; fewer where there are no more.

    Args:
        lattice: any lattice.
        weights: of its arcs ``[arcs]``; -inf forbids one.
        count: how many.
    """
    if not len(lattice):
        return [LatticePath(np.zeros(0, dtype=np.int64), 0.0)][:count]
    through = through_arcs(lattice, weights)
    best = float(through.max())
    if not (count > 0 and best > -np.inf):
        return []
    # All arcs of a path that scores at most ``beam`` less than the best are within the beam, so if the last of the
    # paths found there is within it, too, no better one is outside. Most arcs of a lattice are never looked at.
    losses = np.sort(best - through[np.isfinite(through)])
    beam = float(losses[min(len(losses) - 1, _FIRST_ARCS + count)])
    while True:
        search = _Search(lattice, weights, np.flatnonzero(through >= best - beam - _ROUNDING))
        found = list(itertools.islice(search.completed(), count))
        if beam >= losses[-1] or (len(found) == count and found[-1].score >= best - beam):
            return found
        beam = max(2 * beam, float(losses[np.searchsorted(losses, beam, side="right")]))


_FIRST_ARCS = 200
"""Arcs of the first beam, besides one for every path."""

_ROUNDING = 1e-9


class _Search:
    def __init__(self, lattice: Lattice, weights: Floats, arcs: NDArray[np.int64]) -> None:
        self.last = lattice.nodes - 1
        self.arcs = arcs
        self.offsets = np.searchsorted(lattice.source[arcs], np.arange(lattice.nodes + 1)).tolist()
        self.source, self.target = lattice.source[arcs].tolist(), lattice.target[arcs].tolist()
        self.word, self.weights = lattice.word[arcs].tolist(), weights[arcs].tolist()
        self.beta = backward(lattice, weights, "tropical").tolist()

    def completed(self) -> Iterator[LatticePath]:
        """The best path of every word sequence, best first."""
        number = itertools.count()
        waiting: list[tuple[float, int, _Prefix, bool]] = []

        def add(prefix: _Prefix) -> None:
            heapq.heappush(waiting, (-self.promise(prefix.reached), next(number), prefix, False))
            if self.last in prefix.reached:
                heapq.heappush(waiting, (-prefix.reached[self.last][0], next(number), prefix, True))

        if self.beta[0] > -np.inf:
            add(_Prefix(self.with_silence({0: (0.0, -1)}), None))
        while waiting:
            _, _, prefix, is_whole = heapq.heappop(waiting)
            if is_whole:
                yield self.path(prefix)
            else:
                for longer in self.longer(prefix):
                    add(longer)

    def promise(self, reached: _Reached) -> float:
        """Score of the best way to complete a prefix."""
        return max(score + self.beta[node] for node, (score, _) in reached.items())

    def longer(self, prefix: _Prefix) -> list[_Prefix]:
        """The prefixes that are one word longer."""
        by_word: dict[int, _Reached] = {}
        for node, (score, _) in prefix.reached.items():
            for arc in range(self.offsets[node], self.offsets[node + 1]):
                if self.word[arc] != EPSILON:
                    self.reach(by_word.setdefault(self.word[arc], {}), arc, score)
        return [_Prefix(self.with_silence(reached), prefix) for reached in by_word.values() if reached]

    def reach(self, reached: _Reached, arc: int, score: float) -> bool:
        """Go along an arc; whether that is the best way to its end so far."""
        target, score = self.target[arc], score + self.weights[arc]
        if score + self.beta[target] == -np.inf or (target in reached and reached[target][0] >= score):
            return False
        reached[target] = (score, arc)
        return True

    def with_silence(self, reached: _Reached) -> _Reached:
        """With what epsilon arcs lead to."""
        waiting = list(reached)
        heapq.heapify(waiting)
        while waiting:
            node = heapq.heappop(waiting)  # arcs lead upwards, so the score of the lowest node is settled
            for arc in range(self.offsets[node], self.offsets[node + 1]):
                new = self.target[arc] not in reached
                if self.word[arc] == EPSILON and self.reach(reached, arc, reached[node][0]) and new:
                    heapq.heappush(waiting, self.target[arc])
        return reached

    def path(self, prefix: _Prefix) -> LatticePath:
        """The best path of a word sequence that ends at the last node."""
        score, node = prefix.reached[self.last][0], self.last
        arcs: list[int] = []
        at: _Prefix | None = prefix
        while at is not None:
            arc = at.reached[node][1]
            if arc < 0:
                break
            arcs.append(arc)
            node = self.source[arc]
            at = at if self.word[arc] == EPSILON else at.before
        return LatticePath(self.arcs[arcs[::-1]], score)
