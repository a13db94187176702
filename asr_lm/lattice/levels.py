"""Arcs a level at a time: the order in which sums over paths are computed.

Nodes of one level have no path between them, so all of them are computed at once from lower levels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Level:
    """The arcs into the nodes of one level.

    Attributes:
        arcs: their places in :attr:`Levels.order`; those into one node stand together.
        begins: where those of each node begin among them ``[nodes of the level]``.
        nodes: the nodes ``[nodes of the level]``.
    """

    arcs: slice
    begins: NDArray[np.int64]
    nodes: NDArray[np.integer]


@dataclass(frozen=True)
class Levels:
    """All arcs, level by level.

    Attributes:
        order: arcs by the level of the node they lead to, then by the node ``[arcs]``.
        levels: from the second on; no arc leads to the nodes of the first.
    """

    order: NDArray[np.int64]
    levels: tuple[Level, ...]

    @classmethod
    def arriving(cls, target: NDArray[np.integer], level: NDArray[np.integer]) -> Levels:
        """The levels of arcs that lead to ``target [arcs]``; the ``level`` of nodes ``[nodes]`` rises along them."""
        order = np.lexsort((target, level[target]))
        target = target[order]
        begins = np.flatnonzero(np.diff(target, prepend=-1))  # of the arcs into one node
        nodes = target[begins]
        edges = np.flatnonzero(np.diff(level[nodes], prepend=-1))  # of the nodes of one level
        bounds = np.append(begins, len(target)).tolist()
        levels = (
            Level(slice(bounds[first], bounds[last]), begins[first:last] - bounds[first], nodes[first:last])
            for first, last in itertools.pairwise([*edges.tolist(), len(begins)])
        )
        return cls(order, tuple(levels))
