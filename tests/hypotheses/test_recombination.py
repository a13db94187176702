"""Laws of recombined histories: a tree, a smaller one, and the same where all words tell histories apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.hypotheses.recombination import recombined

WORDS = 6
EVERY = np.ones(WORDS + 1, dtype=bool)
PIECES = np.array([True, True, True, False, False, True, True])
"""Tokens 3 and 4 go on with a word."""


def sentences(seed: int, count: int = 200) -> list[NDArray[np.int32]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(1, WORDS + 1, generator.integers(1, 9)).astype(np.int32) for _ in range(count)]


def last_words(tokens: Sequence[int], words: int, begins: NDArray[np.bool_]) -> tuple[int, ...]:
    """The tokens of the last words, the beginning of the sentence (-1) where there are fewer."""
    for place in range(len(tokens) - 1, -1, -1):
        words -= int(begins[tokens[place]])
        if words == 0:
            return tuple(tokens[place:])
    return (-1, *tokens)


def history(tree: PrefixTree, node: int) -> list[int]:
    """The tokens up to a node."""
    found: list[int] = []
    while node:
        found.append(int(tree.token[node]))
        node = int(tree.parent[node])
    return found[::-1]


@pytest.mark.parametrize("begins", [EVERY, PIECES], ids=["words", "pieces"])
@pytest.mark.parametrize("words", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_every_token_follows_its_last_words(seed: int, words: int, begins: NDArray[np.bool_]) -> None:
    said = sentences(seed)
    tree = PrefixTree.build(said, 0)
    merged = recombined(tree, words, begins)
    assert len(merged) < len(tree)
    contexts = {}
    for number, sentence in enumerate(said):
        path = merged.path[merged.offsets[number] : merged.offsets[number + 1]]
        assert merged.token[path].tolist() == sentence.tolist()
        for place, node in enumerate(path.tolist()):
            before = last_words(sentence[:place].tolist(), words, begins)
            parent = int(merged.parent[node])
            assert last_words(history(merged, parent), words, begins) == before
            assert contexts.setdefault(before, parent) == parent  # one node for all histories that end alike


@pytest.mark.parametrize("words", [1, 2])
def test_it_is_a_tree_in_level_order(words: int) -> None:
    merged = recombined(PrefixTree.build(sentences(7), 0), words, EVERY)
    assert merged.parent[0] == -1
    assert merged.levels[-1] == len(merged.token)
    for level in range(1, merged.depth + 1):
        some = slice(int(merged.levels[level]), int(merged.levels[level + 1]))
        above = merged.parent[some]
        assert ((above >= merged.levels[level - 1]) & (above < merged.levels[level])).all()
        assert (np.diff(above) >= 0).all()  # children of one node are neighbours
    pairs = list(zip(merged.parent[1:].tolist(), merged.token[1:].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)


def test_long_histories_change_nothing() -> None:
    tree = PrefixTree.build(sentences(3), 0)
    same = recombined(tree, 9, EVERY)
    for name in ("token", "parent", "levels", "path", "offsets"):
        np.testing.assert_array_equal(getattr(same, name), getattr(tree, name))


def test_by_hand() -> None:
    """``a b c`` and ``d b c e``: after one word, ``b`` leads to one node from which ``c`` is predicted once."""
    said = [np.array(tokens, dtype=np.int32) for tokens in ([1, 2, 3], [4, 2, 3, 5])]
    merged = recombined(PrefixTree.build(said, 0), 1, EVERY)
    assert history(merged, int(merged.path[-1])) == [1, 2, 3, 5]
    assert len(merged) == 6  # a, d, b after each, c, e
