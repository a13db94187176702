"""Small random lattices, and every path of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from asr_lm.lattice.lattice import Lattice

SYMBOLS = ("", "a", "b", "c", "d")


def random_arcs(seed: int, nodes: int = 6, arcs: int = 12, epsilon: float = 0.2) -> dict[str, Any]:
    """Arguments of :meth:`Lattice.from_arcs` that make a graph without cycles, with shuffled node numbers."""
    random = np.random.default_rng(seed)
    ends = np.sort(random.integers(nodes, size=(arcs, 2)), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    ends = np.concatenate([ends, np.column_stack([np.arange(nodes - 1), np.arange(1, nodes)])])
    name = random.permutation(nodes)
    count = len(ends)
    word = np.where(random.random(count) < epsilon, 0, random.integers(1, len(SYMBOLS), size=count))
    finals = {int(name[-1]): {"lm": 0.5}, int(name[-2]): {"acoustic": -1.0}}
    return {
        "source": name[ends[:, 0]],
        "target": name[ends[:, 1]],
        "word": word,
        "scores": {"acoustic": random.normal(size=count), "lm": random.normal(size=count)},
        "start": int(name[0]),
        "final": finals,
        "begin": random.random(count),
        "end": random.random(count) + 1,
    }


def random_lattice(seed: int, **sizes: Any) -> Lattice:
    """A lattice of :func:`random_arcs`."""
    return Lattice.from_arcs(f"toy-{seed}", SYMBOLS, **random_arcs(seed, **sizes))


def paths(lattice: Lattice) -> Iterator[list[int]]:
    """Every path, as arcs."""
    last = lattice.nodes - 1
    stack: list[tuple[int, list[int]]] = [(0, [])]
    while stack:
        node, path = stack.pop()
        if node == last:
            yield path
        leaving = range(lattice.out_offsets[node], lattice.out_offsets[node + 1])
        stack += [(int(lattice.target[arc]), [*path, arc]) for arc in leaving]


def spoken(lattice: Lattice) -> Counter[tuple[str, float, float]]:
    """Words and scores of every path."""
    return Counter(
        (lattice.text(path), *(round(float(lattice.scores[name][path].sum()), 9) for name in ("acoustic", "lm")))
        for path in paths(lattice)
    )


def spoken_by(arcs: dict[str, Any]) -> Counter[tuple[str, float, float]]:
    """The same of arcs as they were given."""
    found: Counter[tuple[str, float, float]] = Counter()
    stack: list[tuple[int, list[int]]] = [(arcs["start"], [])]
    while stack:
        node, path = stack.pop()
        if node in arcs["final"]:
            words = [SYMBOLS[arcs["word"][arc]] for arc in path if arcs["word"][arc]]
            totals = [
                round(float(arcs["scores"][name][path].sum()) + arcs["final"][node].get(name, 0.0), 9)
                for name in ("acoustic", "lm")
            ]
            found[(" ".join(words), *totals)] += 1
        stack += [(int(arcs["target"][arc]), [*path, int(arc)]) for arc in np.flatnonzero(arcs["source"] == node)]
    return found
