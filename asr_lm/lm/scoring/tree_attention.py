"""Attention over a prefix tree: every node attends to its ancestors and to itself, and to nothing else.

The nodes are read in preorder, the order in which a dictionary lists the prefixes. The subtree of a node is then a
stretch of neighbours, so ``j`` is an ancestor of ``i``, or ``i`` itself, exactly if ``j <= i < end[j]``. And whatever a
block of neighbours attends to lies in the block itself or on the path to its first node: an ancestor of a later node
that stands before the block spans the block's first node too. So a block needs as many keys as its path is long, and
its own; not those of the whole tree, and not those of every sentence.

A long tree is read in pieces, one after another. From one piece to the next the keys and values on the path to the
next node are all that has to be kept, so the memory that scoring needs does not grow with the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.hypotheses.prefix_tree import PrefixTree

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Preorder:
    """Nodes of a tree, or of a forest, in preorder.

    Attributes:
        node: their numbers in the tree ``[n]``.
        parent: position of the parent in this order ``[n]``; -1 for a root.
        depth: steps from its root ``[n]``.
        end: the subtree of the node at position ``i`` stands at ``i`` to ``end[i] - 1``, ``[n]``.
    """

    node: Indices
    parent: Indices
    depth: Indices
    end: Indices

    @classmethod
    def of_tree(cls, tree: PrefixTree, kept: NDArray[np.bool_]) -> Preorder:
        """The nodes ``kept [nodes]`` of a tree; with a node its parent is kept."""
        sizes = kept.astype(np.int64)
        levels = [slice(*tree.levels[level : level + 2].tolist()) for level in range(tree.depth + 1)]
        for level in levels[:0:-1]:
            np.add.at(sizes, tree.parent[level], sizes[level])
        position = np.zeros(len(sizes), dtype=np.int64)
        for level in levels[1:]:
            parents = tree.parent[level]
            before = np.cumsum(sizes[level]) - sizes[level]
            first = np.flatnonzero(np.diff(parents, prepend=-1))
            siblings = np.repeat(before[first], np.diff(first, append=len(parents)))
            position[level] = position[parents] + 1 + before - siblings
        depths = np.repeat(np.arange(tree.depth + 1), np.diff(tree.levels))
        chosen = np.flatnonzero(kept)
        node = np.empty(len(chosen), dtype=np.int64)
        node[position[chosen]] = chosen
        parent = np.where(node == 0, -1, position[tree.parent[node]])
        return cls(node, parent, depths[node], np.arange(len(node)) + sizes[node])

    def __len__(self) -> int:
        return len(self.node)

    def window(self, begin: int, width: int) -> Preorder:
        """The forest of the nodes at depths ``begin`` to ``begin + width - 1``, their depths counted from ``begin``."""
        kept = (self.depth >= begin) & (self.depth < begin + width)
        before = np.concatenate([[0], np.cumsum(kept)])
        parent = np.where(self.depth == begin, -1, before[self.parent])
        return Preorder(self.node[kept], parent[kept], self.depth[kept] - begin, before[self.end][kept])

    def reaching(self, depth: int) -> Preorder:
        """The nodes on the paths to those at ``depth``."""
        # The deepest node below position i lies before end[i]: a node reaches as deep as it has such a node.
        deep = np.concatenate([[0], np.cumsum(self.depth >= depth)])
        kept = deep[self.end] > deep[: len(self)]
        before = np.concatenate([[0], np.cumsum(kept)])
        parent = np.where(self.parent < 0, -1, before[self.parent])
        return Preorder(self.node[kept], parent[kept], self.depth[kept], before[self.end][kept])

    def path(self, positions: Indices) -> Indices:
        """Ancestors of nodes, the root first ``[n, deepest]``; -1 beyond the parent."""
        depths = self.depth[positions]
        paths = np.full((len(positions), int(depths.max(initial=0))), -1)
        ancestors = positions
        rows = np.arange(len(positions))
        while len(rows):
            ancestors = self.parent[ancestors]
            above = ancestors >= 0
            rows, ancestors = rows[above], ancestors[above]
            paths[rows, self.depth[ancestors]] = ancestors
        return paths


@dataclass(frozen=True)
class Piece:
    """Neighbouring nodes in preorder, in blocks that attend together.

    Attributes:
        begin, end: positions of the nodes.
        queries: row within the piece of every query ``[blocks, block]``; the last block is filled up with its last.
        keys: row of every key ``[blocks, keys]`` in the memory: first the path to the piece, then its own nodes.
        mask: what is added to the logits ``[blocks, 1, block, keys]``: 0 for ancestors, else minus infinity.
        kept: rows of the memory that the next piece needs ``[path]``.
    """

    begin: int
    end: int
    queries: Tensor
    keys: Tensor
    mask: Tensor
    kept: Tensor


def pieces(order: Preorder, nodes: int, block: int, device: torch.device) -> Iterator[Piece]:
    """Cut an order into pieces of at most ``nodes`` nodes, and these into blocks of ``block``."""
    for begin in range(0, len(order), nodes):
        end = min(begin + nodes, len(order))
        starts = np.arange(begin, end, block)
        own = starts[:, None] + np.arange(block)
        queries = np.minimum(own, end - 1)
        paths = order.path(starts)
        keys = np.concatenate([paths, np.where(own < end, own, -1)], axis=1)
        sees = (keys[:, None] >= 0) & (keys[:, None] <= queries[:, :, None])
        sees &= queries[:, :, None] < order.end[keys][:, None]
        mask = torch.zeros(sees.shape).masked_fill_(~torch.from_numpy(sees), -torch.inf)
        following = order.path(np.array([end]))[0] if end < len(order) else np.zeros(0, dtype=np.int64)
        yield Piece(
            begin,
            end,
            torch.from_numpy(queries - begin).to(device),
            torch.from_numpy(_memory_rows(order, keys, begin)).to(device),
            mask[:, None].to(device),
            torch.from_numpy(_memory_rows(order, following, begin)).to(device),
        )


def _memory_rows(order: Preorder, positions: Indices, begin: int) -> Indices:
    """Rows of a piece's memory in which nodes stand; 0 for those that are none (-1)."""
    carried = int(order.depth[begin])
    rows = np.where(positions >= begin, carried + positions - begin, order.depth[positions])
    return np.where(positions < 0, 0, rows)
