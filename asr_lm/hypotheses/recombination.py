"""Histories that end in the same words taken for one: a prefix tree made smaller, its scores nearly the same.

Liu, Chen, Wang, Gales, Woodland: Two efficient lattice rescoring methods using recurrent neural network language models
(IEEE/ACM TASLP 24, 2016), section IV: histories are equivalent if their last n - 1 words agree. What follows such
histories is predicted once, from the first of them that is met; the others borrow its state. A model reads fewer
prefixes, and what it makes of words further back than that is a guess.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_lm.hypotheses.prefix_tree import PrefixTree

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)


def recombined(tree: PrefixTree, words: int, begins_word: NDArray[np.bool_]) -> PrefixTree:
    """The tree in which histories of the same last words are one node.

    A path of it is a history that some sentence has up to its last ``words`` words, so any causal model scores it as it
    scores any other tree; ``path`` says which node stands for which token of which sentence.

    Args:
        tree: of some sentences.
        words: so many last words, one that is not finished among them, tell histories apart; at least 1.
        begins_word: whether a token begins a word ``[vocabulary]``.
    """
    keys = _history_keys(tree, words, begins_word)
    # stand[n]: the node of the old tree whose place in the new one node n takes; kept[n]: whether n is in the new one.
    stand, kept, known = _standing(tree, keys)
    parent = known[np.maximum(tree.parent, 0)]
    return _rebuilt(tree, stand, kept, parent)


def _history_keys(tree: PrefixTree, words: int, begins_word: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """A number for each node, equal where the last words up to it are ``[nodes]`` (of 64 bits: others hardly ever
    meet)."""
    keys = np.zeros((words + 1, len(tree.token)), dtype=np.uint64)
    keys[1:, 0] = _ODD  # the beginning of a sentence is no history like others; no words at all are one history
    tokens = (tree.token.astype(np.uint64) + np.uint64(1)) * _MIX
    for first, last in zip(tree.levels[1:-1], tree.levels[2:], strict=True):
        level = slice(int(first), int(last))
        parents, begins = tree.parent[level], begins_word[tree.token[level]]
        for number in range(1, words + 1):
            before = np.where(begins, keys[number - 1, parents], keys[number, parents])
            mixed = (before ^ (before >> _SHIFT)) * _ODD + tokens[level]
            keys[number, level] = mixed ^ (mixed >> _SHIFT)
    found: NDArray[np.uint64] = keys[words]
    return found


def _standing(
    tree: PrefixTree, keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Which node stands for each, which nodes are kept, and the first node of each node's history, all ``[nodes]``.

    A node is kept if it is the first of its token after its parent's history; of those the first of a history has the
    children of all.
    """
    # Nodes come level by level, so the first of a history is one of the shortest.
    _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
    known = first[kind].astype(np.int64)
    pair = known[np.maximum(tree.parent, 0)] * (int(tree.token.max(initial=0)) + 1) + tree.token
    pair[0] = -1
    _, first, kind = np.unique(pair, return_index=True, return_inverse=True)
    stand = first[kind].astype(np.int64)
    return stand, stand == np.arange(len(stand)), known


def _rebuilt(
    tree: PrefixTree, stand: NDArray[np.int64], kept: NDArray[np.bool_], parent: NDArray[np.int64]
) -> PrefixTree:
    """The tree of the nodes that are kept, each under the first node of its parent's history."""
    nodes = np.flatnonzero(kept)
    above = stand[parent[nodes]]
    depth = np.zeros(len(tree.token), dtype=np.int64)
    for node, over in zip(nodes[1:].tolist(), above[1:].tolist(), strict=True):  # parents come before children
        depth[node] = depth[over] + 1
    place = np.full(len(tree.token), -1, dtype=np.int64)
    order, levels = _in_levels(nodes, above, depth[nodes], tree.token[nodes], place)
    chosen, over = nodes[order], above[order]
    parents = np.where(chosen == 0, -1, place[over]).astype(np.int32)
    return PrefixTree(tree.token[chosen], parents, levels, place[stand[tree.path]].astype(np.int32), tree.offsets)


def _in_levels(
    nodes: NDArray[np.int64],
    above: NDArray[np.int64],
    depth: NDArray[np.int64],
    token: NDArray[np.int32],
    place: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Nodes ordered by level, parent and token, and where levels begin; ``place`` gets the new number of each."""
    parts, levels = [], [0]
    for level in range(int(depth.max(initial=0)) + 1):
        here = np.flatnonzero(depth == level)
        here = here[np.lexsort((token[here], place[above[here]] if level else here))]
        place[nodes[here]] = levels[-1] + np.arange(len(here))
        parts.append(here)
        levels.append(levels[-1] + len(here))
    return np.concatenate(parts), np.array(levels, dtype=np.int64)
