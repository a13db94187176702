"""A lexicon as a prefix tree in arrays, for a search that takes all hypotheses of a frame together.

A node is a proper beginning of a spelling; node 0 is the empty one. Two kinds of edges leave it, each with a token:
``inner`` ones lead to longer beginnings, ``ends`` complete a word, after which the next one begins at node 0. Edges are
in compressed sparse rows: those of a node are neighbours.
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
        target: node that it leads to, or label of the word that it completes ``[edges]``.
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
        inner, ends: the edges.
        depth: of every node, the root's is 0 ``[nodes]``.
        parent: of every node ``[nodes]``, the root's is -1.
        words: word of every label.
        spellings: tokens of every label; of several that end in the same token the first.
        sources: nodes that a label's edges leave, -1 for none ``[most of them, labels]``.
        last: last token of every label ``[labels]``.
    """

    inner: Edges
    ends: Edges
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
        inner = Edges.of(above[1:], np.array(token[1:], dtype=np.int64), np.arange(1, nodes), nodes)
        leaving, said, completing = np.array(ends, dtype=np.int64).reshape(-1, 3).T
        completed = Edges.of(leaving, said, completing, nodes)
        words, last = [word for word, _ in labels], np.array([number for _, number in labels], dtype=np.int64)
        return cls(inner, completed, np.array(depth), above, words, first, _sources(completed, len(labels)), last)

    def best_below(self, scores: Scores) -> Scores:
        """Of every node the best score of the labels that can still be reached ``[nodes]``; scores ``[labels]``."""
        best = np.full(len(self), -np.inf)
        np.maximum.at(best, self.ends.node, scores[self.ends.target])
        by_depth = np.argsort(self.depth, kind="stable")
        bounds = np.cumsum(np.bincount(self.depth))
        for begin, end in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
            level = by_depth[begin:end]
            np.maximum.at(best, self.parent[level], best[level])
        return best


def _sources(ends: Edges, labels: int) -> Numbers:
    order = np.argsort(ends.target, kind="stable")
    label, count = ends.target[order], np.bincount(ends.target, minlength=labels)
    place = np.arange(len(label)) - (np.cumsum(count) - count)[label]
    sources = np.full((int(count.max(initial=1)), labels), -1)
    sources[place, label] = ends.node[order]
    return sources
