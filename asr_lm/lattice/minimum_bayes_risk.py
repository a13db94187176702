"""Minimum Bayes risk decoding of a lattice.

Xu, Povey, Mangu, Zhu: Minimum Bayes Risk decoding and system combination based on a recursion for edit distance
(Computer Speech and Language 25, 2011). The hypothesis is not the most likely word sequence but that with the fewest
expected errors against all paths. The expected edit distance is computed by a recursion over nodes and positions of
the hypothesis (the paper's figure 5), an upper bound that is exact where the alignment of a path's beginning does not
depend on its end; the backward recursion (figure 6) tells how likely every word stands at every position, and the
likeliest words are the next hypothesis, until nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.forward_backward import best_path, forward
from asr_lm.lattice.lattice import EPSILON, Floats, Integers, Lattice

_BETWEEN = 1 + 5e-6
"""A word that stands between two words costs a little more than one that stands in place of one: of two alignments
with as many errors the one without a deletion and an insertion is counted."""

_INSERTION = 1 + 1e-5
"""A word that has no position at all costs a little more again, so that it is counted where it has one."""

_ITERATIONS = 100


@dataclass(frozen=True)
class MbrHypothesis:
    """The hypothesis with the fewest expected errors.

    Attributes:
        words: numbers of its words, without epsilon ``[words]``.
        confidence: probability of each word at its place ``[words]``.
        expected_errors: expected edit distance to what was said, under the lattice's probabilities.
        positions: at every position, between the words too, the probability of each word that may stand there
            (a *sausage*); epsilon has number 0.
        history: expected errors of every hypothesis on the way, the first being the best path's.
    """

    words: tuple[int, ...]
    confidence: tuple[float, ...]
    expected_errors: float
    positions: tuple[dict[int, float], ...]
    history: tuple[float, ...]

    def text(self, lattice: Lattice) -> str:
        """The words."""
        return " ".join(lattice.symbols[word] for word in self.words)


def mbr_hypothesis(lattice: Lattice, weights: Floats, begin: Sequence[int] | None = None) -> MbrHypothesis:
    """The words with the fewest expected errors.

    Args:
        lattice: any lattice.
        weights: of its arcs, scaled so that the paths' probabilities are right ``[arcs]``.
        begin: words to start from; None takes those of the best path.
    """
    if begin is None:
        begin = [word for word in lattice.word[best_path(lattice, weights)].tolist() if word != EPSILON]
    recursion = _Recursion(lattice, weights)
    words = list(begin)
    history: list[float] = []
    best: tuple[list[int], tuple[dict[int, float], ...]] | None = None
    for _ in range(_ITERATIONS):
        errors, positions = recursion.statistics(_spaced(words))
        if best is not None and errors >= history[-1] - 1e-9:
            break  # the recursion is a bound: a step that does not lower it is not taken
        history.append(errors)
        best = (words, positions)
        likeliest = [max(choices, key=lambda word: (choices[word], -word)) for choices in positions]
        following = [word for word in likeliest if word != EPSILON]
        if following == words:
            break
        words = following
    assert best is not None
    words, positions = best
    confidence = [positions[2 * number + 1].get(word, 0.0) for number, word in enumerate(words)]
    return MbrHypothesis(tuple(words), tuple(confidence), history[-1], positions, tuple(history))


def expected_errors(lattice: Lattice, weights: Floats, words: Sequence[int]) -> float:
    """Expected edit distance between some words and what was said, by the recursion."""
    return _Recursion(lattice, weights).errors(_spaced(words))


def _spaced(words: Sequence[int]) -> NDArray[np.int64]:
    """The words with an epsilon before, between and behind them, where others may turn out to belong."""
    spaced = np.full(2 * len(words) + 1, EPSILON, dtype=np.int64)
    spaced[1::2] = words
    return spaced


class _Recursion:
    """Forward and backward recursion over nodes and positions of a hypothesis ``r``.

    Attributes:
        share: of every arc among the arcs into its node ``[arcs]``.
    """

    def __init__(self, lattice: Lattice, weights: Floats) -> None:
        self.lattice = lattice
        alpha = forward(lattice, weights)
        with np.errstate(invalid="ignore"):
            share = np.exp(alpha[lattice.source] + weights - alpha[lattice.target])
        self.share = np.nan_to_num(share)

    def errors(self, r: Integers) -> float:
        """Expected edit distance."""
        return float(self.distances(r)[-1, -1])

    def distances(self, r: Integers) -> Floats:
        """``α'`` of the paper: expected distance between the paths to a node and a beginning of ``r``.

        Returns:
            ``[nodes, positions + 1]``.
        """
        skipped = _skipped(r)
        values = np.tile(skipped, (self.lattice.nodes, 1))
        levels = self.lattice.arriving
        for level in levels.levels:
            arcs = levels.order[level.arcs]
            arriving = self.arc_distances(r, skipped, values, arcs) * self.share[arcs][:, None]
            values[level.nodes] = np.add.reduceat(arriving, level.begins, axis=0)
        return values

    def arc_distances(self, r: Integers, skipped: Floats, values: Floats, arcs: Integers) -> Floats:
        """``α'_arc``: the same at the end of some arcs, each taken alone ``[arcs, positions + 1]``."""
        extended = self.ways(r, values, arcs).min(axis=0)
        return np.minimum.accumulate(extended - skipped, axis=1) + skipped

    def ways(self, r: Integers, values: Floats, arcs: Integers) -> Floats:
        """Distances where an arc's word stands against a word of ``r``, and where it is inserted.

        Returns:
            ``[2, arcs, positions + 1]``.
        """
        before, word = values[self.lattice.source[arcs]], self.lattice.word[arcs]
        against = np.full(before.shape, np.inf)
        differs = np.where(r == EPSILON, _BETWEEN, 1.0)[None] * (word[:, None] != r[None])
        against[:, 1:] = before[:, :-1] + differs
        inserted = before + np.where(word == EPSILON, 0.0, _INSERTION)[:, None]
        return np.stack([against, inserted])

    def statistics(self, r: Integers) -> tuple[float, tuple[dict[int, float], ...]]:
        """Expected distance, and how likely every word stands at every position of ``r`` (``γ``)."""
        skipped, values = _skipped(r), self.distances(r)
        mass = np.zeros_like(values)  # β'
        mass[-1, -1] = 1.0
        gamma = np.zeros((len(r), len(self.lattice.symbols)))
        levels = self.lattice.arriving
        for level in reversed(levels.levels):
            self.step_back(r, skipped, values, mass, gamma, levels.order[level.arcs])
        # What is left at the first node stands before all words.
        gamma[:, EPSILON] += np.cumsum(mass[0, :0:-1])[::-1]
        positions = [{int(word): float(row[word]) for word in np.flatnonzero(row > 0)} for row in gamma]
        return float(values[-1, -1]), tuple(positions)

    def step_back(
        self, r: Integers, skipped: Floats, values: Floats, mass: Floats, gamma: Floats, arcs: Integers
    ) -> None:
        """Hand the mass at the ends of some arcs to their beginnings, and count what it passes."""
        source, target, word = (
            column[arcs] for column in (self.lattice.source, self.lattice.target, self.lattice.word)
        )
        ways = self.ways(r, values, arcs)
        reached = np.minimum.accumulate(ways.min(axis=0) - skipped, axis=1) + skipped
        # Position 0 cannot be reached by passing over a word of r.
        passing = ways.min(axis=0) > reached + 1e-12
        passing[:, 0] = False
        carried = self.share[arcs][:, None] * mass[target]
        gathered, passed = _gathered(carried, passing)
        gamma[:, EPSILON] += passed[:, 1:].sum(axis=0)
        stands = (ways[0] <= ways[1]) & ~passing
        standing, inserted = np.where(stands, gathered, 0.0), np.where(stands | passing, 0.0, gathered)
        np.add.at(gamma.T, word, standing[:, 1:])
        np.add.at(mass, source, inserted)
        np.add.at(mass[:, :-1], source, standing[:, 1:])


def _skipped(r: Integers) -> Floats:
    """Cost of passing over the beginning of ``r``: a deletion for every word ``[positions + 1]``."""
    return np.concatenate([[0.0], np.cumsum(r != EPSILON)]).astype(np.float64)


def _gathered(carried: Floats, passing: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Mass that moves down from passing positions to the nearest one below that is not passing.

    Returns:
        The mass where it comes to rest, and the mass that passes over each position ``[arcs, positions + 1]``.
    """
    from_above = np.cumsum(carried[:, ::-1], axis=1)[:, ::-1]
    # Mass from above a resting place stops there: what comes to position q began below the next resting place above.
    positions = carried.shape[1]
    resting = np.where(passing, positions, np.arange(positions))
    above = np.full((len(carried), positions + 1), positions)
    above[:, :-1] = np.minimum.accumulate(resting[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([from_above, np.zeros((len(carried), 1))], axis=1)
    arrived = from_above - np.take_along_axis(padded, above[:, 1:], axis=1)
    return np.where(passing, 0.0, arrived), np.where(passing, arrived, 0.0)
