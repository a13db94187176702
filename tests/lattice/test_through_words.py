"""The best path through a sequence of words, against all paths of small lattices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.through_words import SpokenWords, best_paths_through

ALL = [words for length in (1, 2, 3) for words in itertools.product(SYMBOLS[1:], repeat=length)]


def holds(text: str, sequence: tuple[str, ...]) -> bool:
    return f" {' '.join(sequence)} " in f" {text} "


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2, 0.5]))
def test_it_is_the_best_of_all_paths_that_hold_the_words(seed: int, silent: float) -> None:
    lattice = random_lattice(seed, epsilon=silent)
    weights = lattice.weights()
    found = dict(best_paths_through(SpokenWords.of(lattice), weights, ALL))
    every = [(lattice.text(path), float(weights[path].sum())) for path in paths(lattice)]
    for sequence in ALL:
        scores = [score for text, score in every if holds(text, sequence)]
        assert (sequence in found) == bool(scores)
        if scores:
            assert found[sequence].score == pytest.approx(max(scores))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_it_is_a_whole_path_and_scores_what_its_arcs_score(seed: int) -> None:
    lattice = random_lattice(seed)
    weights = lattice.weights()
    for sequence, found in best_paths_through(SpokenWords.of(lattice), weights, ALL):
        assert found.arcs.tolist() in list(paths(lattice))
        assert found.score == pytest.approx(weights[found.arcs].sum())
        assert holds(lattice.text(found.arcs), sequence)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.4]))
def test_the_arcs_of_a_sequence_are_those_on_which_some_path_speaks_it(seed: int, silent: float) -> None:
    lattice = random_lattice(seed, epsilon=silent)
    spoken = SpokenWords.of(lattice)
    every = [[arc for arc in path if lattice.word[arc]] for path in paths(lattice)]
    for sequence in ALL:
        expected = {
            arc
            for path in every
            for begin in range(len(path))
            if tuple(lattice.symbols[lattice.word[arc]] for arc in path[begin : begin + len(sequence)]) == sequence
            for arc in path[begin : begin + len(sequence)]
        }
        assert set(spoken.arcs(sequence).tolist()) == expected


def test_forbidden_arcs_are_no_way() -> None:
    lattice = random_lattice(3)
    weights = np.where(lattice.word == SYMBOLS.index("a"), -np.inf, lattice.weights())
    found = dict(best_paths_through(SpokenWords.of(lattice), weights, [("a",), ("b",)]))
    assert ("a",) not in found
    assert all("a" not in lattice.text(path.arcs).split() for path in found.values())


def test_words_are_compared_as_they_are_read_and_several_may_stand_on_one_arc() -> None:
    lattice = Lattice.from_arcs(
        "u", ("", "Port Ellen,", "to"), [0, 1, 0], [1, 2, 2], [2, 1, 2], {"acoustic": [-1.0, -2.0, 0.0]}, final={2: {}}
    )
    spoken = SpokenWords.of(lattice, lambda word: word.lower().strip(","))
    ((_, found),) = best_paths_through(spoken, lattice.weights(), [("port", "ellen"), ("ellen",)])
    assert lattice.text(found.arcs) == "to Port Ellen,"


def test_a_lattice_without_arcs_holds_nothing() -> None:
    lattice = Lattice.from_arcs("u", ("",), [], [], [], {"acoustic": []}, final={0: {}})
    assert not list(best_paths_through(SpokenWords.of(lattice), lattice.weights(), [("a",)]))
