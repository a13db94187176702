"""The n best word sequences are those that listing every path finds."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.lattice.forward_backward import best_path
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.nbest import nbest


def by_words(lattice: Lattice, weights: np.ndarray) -> list[tuple[str, float]]:
    """Every word sequence with the score of its best path, best first."""
    best: dict[str, float] = {}
    for path in paths(lattice):
        text = lattice.text(path)
        best[text] = max(best.get(text, -np.inf), float(weights[path].sum()))
    return sorted(best.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 0.7])
class TestBruteForce:
    def test_all_of_them(self, seed: int, epsilon: float) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=14, epsilon=epsilon)
        weights = lattice.weights()
        found = nbest(lattice, weights, 10**6)
        expected = by_words(lattice, weights)
        assert [lattice.text(path.arcs) for path in found] == [text for text, _ in expected]
        np.testing.assert_allclose([path.score for path in found], [score for _, score in expected], atol=1e-9)

    def test_a_path_is_a_path_and_has_its_score(self, seed: int, epsilon: float) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=14, epsilon=epsilon)
        weights = lattice.weights()
        for path in nbest(lattice, weights, 5):
            assert lattice.source[path.arcs[0]] == 0
            assert lattice.target[path.arcs[-1]] == lattice.nodes - 1
            assert (lattice.source[path.arcs[1:]] == lattice.target[path.arcs[:-1]]).all()
            assert path.score == pytest.approx(weights[path.arcs].sum(), abs=1e-9)

    def test_the_first_is_the_best_path(self, seed: int, epsilon: float) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=14, epsilon=epsilon)
        (first,) = nbest(lattice, lattice.weights(), 1)
        assert first.arcs.tolist() == best_path(lattice, lattice.weights()).tolist()


def test_a_forbidden_arc_is_on_none() -> None:
    lattice = random_lattice(4)
    weights = lattice.weights()
    arc = int(best_path(lattice, weights)[0])
    weights[arc] = -np.inf
    found = nbest(lattice, weights, 100)
    assert found
    assert all(arc not in path.arcs for path in found)
    assert all(np.isfinite(path.score) for path in found)


def test_where_all_is_forbidden_there_is_none() -> None:
    lattice = random_lattice(4)
    assert nbest(lattice, np.full(len(lattice), -np.inf), 3) == []


def test_the_empty_lattice_says_nothing_once() -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [], [], [], {"lm": []}, final={0: {}})
    (path,) = nbest(lattice, lattice.weights(), 3)
    assert (path.arcs.tolist(), path.score) == ([], 0.0)


def test_a_thousand_ways_to_say_one_thing_do_not_delay_the_next() -> None:
    """Ten words, each with eight pronunciations: a billion paths, and two word sequences."""
    source = np.repeat(np.arange(10), 8)
    words = np.repeat([1, 2, 3, 4, 1, 2, 3, 4, 1, 2], 8)
    source, target = np.append(source, 0), np.append(source + 1, 10)
    random = np.random.default_rng(1)
    scores = np.append(random.normal(size=80), -1000.0)
    lattice = Lattice.from_arcs("u", SYMBOLS, source, target, np.append(words, 3), {"lm": scores}, final={10: {}})
    assert [lattice.text(path.arcs) for path in nbest(lattice, lattice.weights(), 5)] == ["a b c d a b c d a b", "c"]
