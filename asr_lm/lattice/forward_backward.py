"""Sums and maxima over all paths of a lattice, a level of nodes at a time.

``α(n)`` sums (in the log semiring) or maximises (in the tropical one) over the paths from the first node to ``n``,
``β(n)`` over those from ``n`` to the last (Rabiner 1989, section III; for lattices Wessel et al. 2001, equations 6 to
11). Weights are natural logarithms, larger is better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.lattice import Floats, Integers, Lattice
from asr_lm.lattice.levels import Levels

Semiring = Literal["log", "tropical"]

_PLUS: dict[str, Callable[..., Floats]] = {"log": np.logaddexp.reduceat, "tropical": np.maximum.reduceat}


def forward(lattice: Lattice, weights: Floats, semiring: Semiring = "log") -> Floats:
    """``α`` of every node ``[nodes]``; that of the first is 0.

    Args:
        lattice: any lattice.
        weights: of its arcs ``[arcs]``.
        semiring: ``log`` sums over paths, ``tropical`` takes the best.
    """
    return _sweep(lattice.source, weights, lattice.arriving, lattice.nodes, semiring, start=0)


def backward(lattice: Lattice, weights: Floats, semiring: Semiring = "log") -> Floats:
    """``β`` of every node ``[nodes]``; that of the last is 0; arguments as in :func:`forward`."""
    return _sweep(lattice.target, weights, lattice.leaving, lattice.nodes, semiring, start=lattice.nodes - 1)


def total(lattice: Lattice, weights: Floats, semiring: Semiring = "log") -> float:
    """Sum, or maximum, over all paths."""
    return float(forward(lattice, weights, semiring)[-1])


def arc_log_posteriors(lattice: Lattice, weights: Floats) -> Floats:
    """Log of the share that the paths through an arc have in the sum over all paths ``[arcs]``."""
    alpha, beta = forward(lattice, weights), backward(lattice, weights)
    return alpha[lattice.source] + weights + beta[lattice.target] - alpha[-1]


def through_arcs(lattice: Lattice, weights: Floats) -> Floats:
    """Score of the best path through every arc ``[arcs]``."""
    alpha, beta = forward(lattice, weights, "tropical"), backward(lattice, weights, "tropical")
    return alpha[lattice.source] + weights + beta[lattice.target]


def best_path(lattice: Lattice, weights: Floats) -> NDArray[np.int64]:
    """The arcs of the best path, in order; of equals the one whose last differing arc has the lower number."""
    alpha = forward(lattice, weights, "tropical")
    into = _first_arcs(lattice.target, alpha[lattice.source] + weights == alpha[lattice.target], lattice.nodes)
    path, node = [], lattice.nodes - 1
    while node:
        path.append(int(into[node]))
        node = int(lattice.source[path[-1]])
    return np.array(path[::-1], dtype=np.int64)


def best_arcs(lattice: Lattice, weights: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """The best paths through every node and arc.

    Returns:
        into, out: the arc on which the best path comes to every node, and that on which it goes on from there
            ``[nodes]``, -1 where there is none; of equals the arc of the lowest number.
        through: as :func:`through_arcs`.
    """
    alpha, beta = forward(lattice, weights, "tropical"), backward(lattice, weights, "tropical")
    reaching = alpha[lattice.source] + weights
    into = _first_arcs(lattice.target, reaching == alpha[lattice.target], lattice.nodes)
    out = _first_arcs(lattice.source, weights + beta[lattice.target] == beta[lattice.source], lattice.nodes)
    return into, out, reaching + beta[lattice.target]


def _first_arcs(node: Integers, chosen: NDArray[np.bool_], nodes: int) -> NDArray[np.int64]:
    """The first of the ``chosen`` arcs of every node ``[nodes]``, -1 without one."""
    first = np.full(nodes, -1, dtype=np.int64)
    arcs = np.flatnonzero(chosen)
    found, position = np.unique(node[arcs], return_index=True)
    first[found] = arcs[position]
    return first


def _sweep(source: Integers, weights: Floats, levels: Levels, nodes: int, semiring: Semiring, start: int) -> Floats:
    """Sum or maximum over the paths from ``start`` along the arcs."""
    plus = _PLUS[semiring]
    source, weights = source[levels.order], weights[levels.order]
    values = np.full(nodes, -np.inf)
    values[start] = 0.0
    for level in levels.levels:
        values[level.nodes] = plus(values[source[level.arcs]] + weights[level.arcs], level.begins)
    return values
