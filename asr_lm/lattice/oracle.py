"""The oracle of a lattice: the path with the fewest errors, exactly.

Edit distance between a reference and all paths at once: ``cost[n, j]`` is the least number of errors of a path from
the first node to ``n`` against the first ``j`` reference words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.lattice import EPSILON, Lattice

Costs = NDArray[np.int32]


@dataclass(frozen=True)
class OraclePath:
    """The path of a lattice with the fewest errors.

    Attributes:
        arcs: the path.
        substitutions, deletions, insertions: its errors.
    """

    arcs: NDArray[np.int64]
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions


def oracle_path(lattice: Lattice, reference: Sequence[str]) -> OraclePath:
    """The path with the fewest errors against the words of a reference.

    Memory: 4 bytes for every node and reference word.
    """
    numbers = {symbol: number for number, symbol in enumerate(lattice.symbols) if number != EPSILON}
    words = np.array([numbers.get(word, -1) for word in reference], dtype=np.int64)
    cost = _costs(lattice, words)
    return _trace(lattice, words, cost)


def _costs(lattice: Lattice, words: NDArray[np.int64]) -> Costs:
    """``cost`` as above ``[nodes, words + 1]``."""
    position = np.arange(len(words) + 1, dtype=np.int32)
    cost = np.tile(position, (lattice.nodes, 1))
    for level in lattice.arriving.levels:
        arcs = lattice.arriving.order[level.arcs]
        arriving = np.minimum.reduceat(_extended(lattice, words, cost, arcs), level.begins, axis=0)
        # A deletion costs one a reference word, so the best is the least cost ahead of a slope of one.
        cost[level.nodes] = np.minimum.accumulate(arriving - position, axis=1) + position
    return cost


def _extended(lattice: Lattice, words: NDArray[np.int64], cost: Costs, arcs: NDArray[np.int64]) -> Costs:
    """Costs at the end of some arcs, without deletions there ``[arcs, words + 1]``."""
    before = cost[lattice.source[arcs]]
    silent = lattice.word[arcs] == EPSILON
    extended = before + ~silent[:, None]
    differs = lattice.word[arcs][:, None] != words[None]
    matched = np.minimum(extended[:, 1:], before[:, :-1] + differs)
    extended[:, 1:] = np.where(silent[:, None], extended[:, 1:], matched)
    return extended.astype(np.int32)


def _trace(lattice: Lattice, words: NDArray[np.int64], cost: Costs) -> OraclePath:
    into = np.argsort(lattice.target, kind="stable")
    offsets = np.searchsorted(lattice.target[into], np.arange(lattice.nodes + 1))
    node, position = lattice.nodes - 1, len(words)
    counts = {"substitutions": 0, "deletions": 0, "insertions": 0}
    path: list[int] = []
    while node or position:
        here = cost[node, position]
        if position and cost[node, position - 1] + 1 == here:
            counts["deletions"] += 1
            position -= 1
            continue
        arc, error = _arriving(lattice, words, cost, into[offsets[node] : offsets[node + 1]], position, int(here))
        path.append(arc)
        if error:
            counts[error] += 1
        if lattice.word[arc] != EPSILON and error != "insertions":
            position -= 1
        node = int(lattice.source[arc])
    return OraclePath(np.array(path[::-1], dtype=np.int64), **counts)


def _arriving(
    lattice: Lattice, words: NDArray[np.int64], cost: Costs, arcs: NDArray[np.int64], position: int, here: int
) -> tuple[int, str]:
    """An arc on which the cost ``here`` came about, and the error it made, if any."""
    for arc in arcs.tolist():
        before = cost[lattice.source[arc]]
        if lattice.word[arc] == EPSILON:
            if before[position] == here:
                return arc, ""
            continue
        if position:
            error = "" if lattice.word[arc] == words[position - 1] else "substitutions"
            if before[position - 1] + bool(error) == here:
                return arc, error
        if before[position] + 1 == here:
            return arc, "insertions"
    raise AssertionError("a cost without a cause")
