"""The prefix tree: what a causal model has to compute once for a whole n-best list.

Sentences that begin alike share the nodes of their common beginning, so a causal model that answers *log p(token |
its ancestors)* once per node has scored every token of every sentence. A list of a hundred hypotheses is mostly
repetition: its tree is a few times smaller than its text.

The tree is a set of flat arrays in level order; node 0 is ``<s>``, level ``d`` holds the tokens that stand at position
``d`` (from 1), and the children of one node are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]


@dataclass(frozen=True)
class PrefixTree:
    """A prefix tree over token sequences.

    Attributes:
        token: token of every node ``[nodes]``; that of node 0 is the root symbol.
        parent: parent of every node ``[nodes]``; of node 0 it is -1.
        levels: level ``d`` holds the nodes ``levels[d]`` to ``levels[d + 1] - 1``, ``[depth + 2]``.
        path: node of every token of every sentence, one sentence after another ``[tokens]``.
        offsets: sentence ``i`` owns ``path[offsets[i]:offsets[i + 1]]``, ``[sentences + 1]``.
    """

    token: NDArray[np.int32]
    parent: NDArray[np.int32]
    levels: NDArray[np.int64]
    path: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def build(cls, sentences: Sequence[Tokens], root: int) -> PrefixTree:
        """The tree of ``sentences``; each must be non-empty. ``root`` is the token of node 0.

        Sentences in lexicographic order need no sorting here; in another order they are sorted first.
        """
        order = lexicographic_order(sentences)
        flat, offsets = _flatten([sentences[index] for index in order])
        tree = _from_sorted(flat, offsets, root)
        return tree if order == list(range(len(order))) else tree._reordered(np.argsort(order))

    def __len__(self) -> int:
        """Number of nodes, the root not counted: the number of distinct prefixes."""
        return len(self.token) - 1

    @property
    def depth(self) -> int:
        """Length of the longest sentence."""
        return len(self.levels) - 2

    @property
    def sharing(self) -> float:
        """Tokens of the sentences divided by nodes: what is saved by scoring the tree."""
        return len(self.path) / max(len(self), 1)

    def inner_nodes(self, level: int) -> NDArray[np.int32]:
        """The nodes of a level that have children, ascending."""
        if level >= self.depth:
            return np.zeros(0, dtype=np.int32)
        return np.unique(self.parent[self.levels[level + 1] : self.levels[level + 2]])

    def along_paths(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Values of the nodes ``[nodes]`` gathered for the tokens of each sentence."""
        return np.split(values[self.path], self.offsets[1:-1]) if len(self.offsets) > 1 else []

    def _reordered(self, order: NDArray[np.int64]) -> PrefixTree:
        pieces = [self.path[self.offsets[index] : self.offsets[index + 1]] for index in order]
        path, offsets = _flatten(pieces)
        return PrefixTree(self.token, self.parent, self.levels, path, offsets)


def lexicographic_order(sentences: Sequence[Tokens]) -> list[int]:
    """Indices of ``sentences`` in the order of a dictionary of token ids; equal sentences keep their order."""
    keys = [np.asarray(sentence, dtype=">u4").tobytes() for sentence in sentences]
    return sorted(range(len(keys)), key=keys.__getitem__)


def split_by_nodes(sentences: Sequence[Tokens], budget: int) -> Iterator[list[int]]:
    """Groups of sentence indices whose trees have at most ``budget`` nodes, neighbours in lexicographic order together.

    A sentence longer than the budget makes a group of its own.
    """
    order = lexicographic_order(sentences)
    flat, offsets = _flatten([sentences[index] for index in order])
    lengths = np.diff(offsets)
    fresh = lengths - _common_prefixes(flat, offsets)
    group: list[int] = []
    nodes = 0
    for position, index in enumerate(order):
        added = int(fresh[position])
        if group and nodes + added > budget:
            yield group
            group, nodes, added = [], 0, int(lengths[position])
        elif not group:
            added = int(lengths[position])
        group.append(index)
        nodes += added
    if group:
        yield group


def _flatten(sentences: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.concatenate(sentences) if len(sentences) else np.zeros(0)
    return flat.astype(np.int32), offsets


def _positions(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, …, length - 1 for every length, one after another."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts, lengths)


def _common_prefixes(flat: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Length of the common prefix of every sentence with the one before it ``[sentences]``; 0 for the first."""
    lengths = np.diff(offsets)
    if len(lengths) == 0:
        return lengths
    common = np.zeros(len(lengths), dtype=np.int64)
    shorter = np.minimum(lengths[1:], lengths[:-1])
    position = _positions(shorter)
    pair = np.repeat(np.arange(len(shorter)), shorter)
    differs = flat[offsets[pair] + position] != flat[offsets[pair + 1] + position]
    common[1:] = shorter
    np.minimum.at(common, pair[differs] + 1, position[differs])
    return common


def _from_sorted(flat: NDArray[np.int32], offsets: NDArray[np.int64], root: int) -> PrefixTree:
    lengths = np.diff(offsets)
    depth = _positions(lengths)
    fresh = depth >= np.repeat(_common_prefixes(flat, offsets), lengths)
    by_depth = np.argsort(depth, kind="stable")
    # In dictionary order the sentences that share a prefix are neighbours, so within a level the running count of
    # fresh tokens is the number of the node.
    path = np.empty(len(flat), dtype=np.int32)
    path[by_depth] = np.cumsum(fresh[by_depth])
    created = by_depth[fresh[by_depth]]
    before = path[np.maximum(created - 1, 0)]
    parent = np.concatenate([[-1], np.where(depth[created] == 0, 0, before)]).astype(np.int32)
    token = np.concatenate([[root], flat[created]]).astype(np.int32)
    counts = np.bincount(depth[created]) if len(created) else np.zeros(0, dtype=np.int64)
    levels = np.concatenate([[0, 1], 1 + np.cumsum(counts)]).astype(np.int64)
    return PrefixTree(token, parent, levels, path, offsets)
