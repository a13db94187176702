"""Laws of the prefix tree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.hypotheses.prefix_tree import PrefixTree, lexicographic_order, split_by_nodes

sentences_strategy = st.lists(st.lists(st.integers(2, 5), min_size=1, max_size=7), min_size=1, max_size=30)


def arrays(sentences):
    return [np.array(sentence, dtype=np.int32) for sentence in sentences]


def prefixes(sentences):
    return {tuple(sentence[:end]) for sentence in sentences for end in range(1, len(sentence) + 1)}


@given(sentences_strategy)
@settings(max_examples=300, deadline=None)
def test_tree_holds_each_distinct_prefix_once_and_each_path_spells_its_sentence(sentences):
    tree = PrefixTree.build(arrays(sentences), root=1)
    assert len(tree) == len(prefixes(sentences))
    for index, sentence in enumerate(sentences):
        path = tree.path[tree.offsets[index] : tree.offsets[index + 1]]
        assert tree.token[path].tolist() == sentence
        assert tree.parent[path].tolist() == [0, *path[:-1].tolist()]


@given(sentences_strategy)
@settings(max_examples=100, deadline=None)
def test_levels_are_depths_and_children_are_neighbours(sentences):
    tree = PrefixTree.build(arrays(sentences), root=1)
    assert tree.levels[0] == 0
    assert tree.levels[-1] == len(tree) + 1
    assert tree.depth == max(map(len, sentences))
    for level in range(1, tree.depth + 1):
        parents = tree.parent[tree.levels[level] : tree.levels[level + 1]]
        assert (np.diff(parents) >= 0).all()
        assert (parents >= tree.levels[level - 1]).all()
        assert (parents < tree.levels[level]).all()
        assert tree.inner_nodes(level - 1).tolist() == sorted(set(parents.tolist()))


@given(sentences_strategy, st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_groups_respect_the_budget_and_lose_nothing(sentences, budget):
    groups = list(split_by_nodes(arrays(sentences), budget))
    assert sorted(index for group in groups for index in group) == list(range(len(sentences)))
    for group in groups:
        nodes = len(prefixes([sentences[index] for index in group]))
        assert nodes <= budget or len(group) == 1


def test_values_come_back_along_each_sentence():
    tree = PrefixTree.build(arrays([[5, 6, 2], [5, 2], [5, 6, 2]]), root=1)
    assert len(tree) == 4
    assert tree.sharing == pytest.approx(8 / 4)
    values = np.arange(5, dtype=float)
    by_token = {(5,): 1.0, (5, 2): 2.0, (5, 6): 3.0, (5, 6, 2): 4.0}
    along = tree.along_paths(values)
    assert along[0].tolist() == along[2].tolist() == [by_token[(5,)], by_token[(5, 6)], by_token[(5, 6, 2)]]
    assert along[1].tolist() == [1.0, 2.0]


def test_order_is_by_id_and_not_by_byte():
    assert lexicographic_order(arrays([[256], [1], [1, 0], [255]])) == [1, 2, 3, 0]
