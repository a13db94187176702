"""Trees in which every token of a vocabulary follows some contexts: whole distributions from what scores trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.text.vocabulary import Tokens


def every_continuation(prefixes: Sequence[Tokens], root: int, size: int) -> tuple[PrefixTree, NDArray[np.int64]]:
    """The tree of prefixes in which every token follows each of them.

    Args:
        prefixes: token ids of each; an empty one is the root.
        root: token of the root.
        size: number of tokens.

    Returns:
        As :func:`with_every_token`, the first child of each prefix ``[prefixes]``.
    """
    written = [prefix for prefix in prefixes if len(prefix)]
    tree = PrefixTree.build(written, root) if written else _bare(root)
    ends = np.zeros(len(prefixes), dtype=np.int64)
    ends[[number for number, prefix in enumerate(prefixes) if len(prefix)]] = tree.path[tree.offsets[1:] - 1]
    return with_every_token(tree, ends, size)


def _bare(root: int) -> PrefixTree:
    """The tree that is its root alone."""
    nothing = np.zeros(0, dtype=np.int32)
    start, levels = np.array([-1], dtype=np.int32), np.array([0, 1], dtype=np.int64)
    return PrefixTree(np.array([root], dtype=np.int32), start, levels, nothing, np.zeros(1, dtype=np.int64))


def with_every_token(tree: PrefixTree, contexts: NDArray[np.int64], size: int) -> tuple[PrefixTree, NDArray[np.int64]]:
    """The tree of some contexts and their ancestors in which every token follows every context.

    Args:
        tree: holds the contexts.
        contexts: nodes of it.
        size: number of tokens.

    Returns:
        The tree, which holds no sentences; and the first child of each context ``[contexts]``: its children stand in
        the order of token ids.
    """
    kept, is_context = _with_ancestors(tree, contexts), np.zeros(len(tree.token), dtype=bool)
    is_context[contexts] = True
    number, begins = np.zeros(len(tree.token), dtype=np.int64), np.zeros(len(tree.token), dtype=np.int64)
    tokens, parents, levels = [tree.token[:1]], [np.array([-1], dtype=np.int32)], [0, 1]
    above = np.zeros(1, dtype=np.int64)
    while len(above):
        below = np.flatnonzero(kept & np.isin(tree.parent, above))
        parent = tree.parent[below]
        width = np.where(is_context[above], size, np.bincount(np.searchsorted(above, parent), minlength=len(above)))
        begins[above] = levels[-1] + np.cumsum(width) - width
        # Siblings are in the order of token ids already, so the kept ones of a node that is no context stay neighbours.
        among = np.arange(len(below)) - np.searchsorted(parent, parent)
        number[below] = begins[parent] + np.where(is_context[parent], tree.token[below], among)
        level = np.zeros(int(width.sum()), dtype=np.int32)
        every = begins[above[is_context[above]]] - levels[-1]
        level[every[:, None] + np.arange(size)] = np.arange(size, dtype=np.int32)
        level[number[below] - levels[-1]] = tree.token[below]
        tokens.append(level)
        parents.append(np.repeat(number[above], width).astype(np.int32))
        levels.append(levels[-1] + len(level))
        above = below
    nothing = np.zeros(0, dtype=np.int32)
    flat = (np.concatenate(tokens), np.concatenate(parents), np.array(levels, dtype=np.int64))
    return PrefixTree(*flat, nothing, np.zeros(1, dtype=np.int64)), begins[contexts]


def _with_ancestors(tree: PrefixTree, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of some nodes and all their ancestors, the root included ``[nodes of the tree]``."""
    kept = np.zeros(len(tree.token), dtype=bool)
    while len(nodes):
        kept[nodes] = True
        nodes = np.unique(tree.parent[nodes[nodes > 0]]).astype(np.int64)
    return kept
