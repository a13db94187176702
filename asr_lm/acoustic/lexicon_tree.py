"""A lexicon as a prefix tree in arrays, for a search that takes all hypotheses of a frame together.

A node is a proper beginning of a spelling; node 0 is the empty one. The edges that leave it, each with a token, lead to
longer beginnings or complete a word, after which the next one begins at node 0. They are in compressed sparse rows:
those of a node are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Edges:
    """Edges in the order of the nodes that they leave.

    Attributes:
        first, count: number of a node's first edge, and how many it has ``[nodes]``.
        token: that an edge says ``[edges]``.
        target: node that it leads to, or the number of nodes plus the label of the word that it completes ``[edges]``.
        node: that it leaves ``[edges]``.
    """

    first: Numbers
    count: Numbers
    token: Numbers
    target: Numbers
    node: Numbers

    @classmethod
    def of(cls, node: Numbers, token: Numbers, target: Numbers, nodes: int) -> Edges:
        """Put edges in order."""
        order = np.argsort(node, kind="stable")
        count = np.bincount(node, minlength=nodes)
        return cls(np.cumsum(count) - count, count, token[order], target[order], node[order])

    def __len__(self) -> int:
        return len(self.token)


@dataclass(frozen=True)
class LexiconTree:
    """Spellings of words.

    A label is a word and its last token: which token comes next depends on no other of them.

    Attributes:
        edges: from all nodes.
        ending: how many of a node's edges complete a word ``[nodes]``.
        depth: of every node, the root's is 0 ``[nodes]``.
        parent: of every node ``[nodes]``, the root's is -1.
        words: word of every label.
        spellings: tokens of every label; of several that end in the same token the first.
        sources: nodes that a label's edges leave, -1 for none ``[most of them, labels]``.
        last: last token of every label ``[labels]``.
    """

    edges: Edges
    ending: Numbers
    depth: Numbers
    parent: Numbers
    words: Sequence[str]
    spellings: Sequence[tuple[int, ...]]
    sources: Numbers
    last: Numbers

    def __len__(self) -> int:
        return len(self.depth)

    @classmethod
    def of(cls, spellings: Iterable[tuple[str, Sequence[int]]]) -> LexiconTree:
        """The tree of words with their spellings, one at a time; no spelling is empty."""
        children: dict[tuple[int, int], int] = {}
        parent, token, depth = [-1], [-1], [0]
        labels: dict[tuple[str, int], int] = {}
        first: list[tuple[int, ...]] = []
        ends: list[tuple[int, int, int]] = []
        for word, spelling in spellings:
            node = 0
            for number in spelling[:-1]:
                known = len(parent)
                node, before = children.setdefault((node, number), known), node
                if node == known:
                    parent.append(before)
                    token.append(number)
                    depth.append(depth[before] + 1)
            label = labels.setdefault((word, spelling[-1]), len(labels))
            if label == len(first):
                first.append(tuple(spelling))
            ends.append((node, spelling[-1], label))
        nodes, above = len(parent), np.array(parent, dtype=np.int64)
        leaving, said, completed = np.array(ends, dtype=np.int64).reshape(-1, 3).T
        edges = Edges.of(
            np.concatenate([above[1:], leaving]),
            np.concatenate([np.array(token[1:], dtype=np.int64), said]),
            np.concatenate([np.arange(1, nodes), nodes + completed]),
            nodes,
        )
        words, last = [word for word, _ in labels], np.array([number for _, number in labels], dtype=np.int64)
        sources = _sources(leaving, completed, len(labels))
        ending = np.bincount(leaving, minlength=nodes)
        return cls(edges, ending, np.array(depth), above, words, first, sources, last)

    def best_below(self, scores: Scores) -> Scores:
        """Of every node the best score of the labels that can still be reached ``[nodes]``; scores ``[labels]``."""
        best = np.full(len(self), -np.inf)
        ends = (self.edges.target >= len(self)).nonzero()[0]
        np.maximum.at(best, self.edges.node[ends], scores[self.edges.target[ends] - len(self)])
        by_depth = np.argsort(self.depth, kind="stable")
        bounds = np.cumsum(np.bincount(self.depth))
        for begin, end in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
            level = by_depth[begin:end]
            np.maximum.at(best, self.parent[level], best[level])
        return best


def _sources(leaving: Numbers, labels: Numbers, count: int) -> Numbers:
    order = np.argsort(labels, kind="stable")
    label, counts = labels[order], np.bincount(labels, minlength=count)
    place = np.arange(len(label)) - (np.cumsum(counts) - counts)[label]
    sources = np.full((int(counts.max(initial=1)), count), -1)
    sources[place, label] = leaving[order]
    return sources
