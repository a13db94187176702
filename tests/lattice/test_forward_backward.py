"""Sums and maxima over paths equal those over all paths one by one."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.lattice.forward_backward import (
    arc_log_posteriors,
    backward,
    best_path,
    forward,
    through_arcs,
    total,
)
from asr_lm.lattice.lattice import Lattice

SEEDS = range(15)


def path_scores(lattice: Lattice, weights: np.ndarray) -> dict[tuple[int, ...], float]:
    return {tuple(path): float(weights[path].sum()) for path in paths(lattice)}


@pytest.mark.parametrize("seed", SEEDS)
class TestBruteForce:
    def test_the_total(self, seed: int) -> None:
        lattice = random_lattice(seed)
        scores = list(path_scores(lattice, lattice.weights()).values())
        assert total(lattice, lattice.weights()) == pytest.approx(np.logaddexp.reduce(scores), abs=1e-9)
        assert total(lattice, lattice.weights(), "tropical") == pytest.approx(max(scores), abs=1e-9)

    def test_posteriors(self, seed: int) -> None:
        lattice = random_lattice(seed)
        scores = path_scores(lattice, lattice.weights())
        shares = np.exp(np.array(list(scores.values())) - np.logaddexp.reduce(list(scores.values())))
        expected = np.zeros(len(lattice))
        for path, share in zip(scores, shares, strict=True):
            expected[list(path)] += share
        np.testing.assert_allclose(np.exp(arc_log_posteriors(lattice, lattice.weights())), expected, atol=1e-9)

    def test_the_best_path_through_each_arc(self, seed: int) -> None:
        lattice = random_lattice(seed)
        scores = path_scores(lattice, lattice.weights())
        expected = [max(score for path, score in scores.items() if arc in path) for arc in range(len(lattice))]
        np.testing.assert_allclose(through_arcs(lattice, lattice.weights()), expected, atol=1e-9)

    def test_the_best_path(self, seed: int) -> None:
        lattice = random_lattice(seed)
        scores = path_scores(lattice, lattice.weights())
        assert tuple(best_path(lattice, lattice.weights()).tolist()) == max(scores, key=scores.__getitem__)


@pytest.mark.parametrize("seed", SEEDS)
class TestLaws:
    def test_forward_and_backward_meet(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=12, arcs=40)
        weights = lattice.weights()
        assert backward(lattice, weights)[0] == pytest.approx(forward(lattice, weights)[-1], abs=1e-9)

    def test_what_crosses_any_moment_is_certain(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=12, arcs=40)
        posteriors = np.exp(arc_log_posteriors(lattice, lattice.weights()))
        for cut in range(lattice.nodes - 1):
            crossing = (lattice.source <= cut) & (lattice.target > cut)
            assert posteriors[crossing].sum() == pytest.approx(1.0, abs=1e-9)

    def test_without_weights_all_paths_are_equal(self, seed: int) -> None:
        lattice = random_lattice(seed)
        assert np.exp(total(lattice, np.zeros(len(lattice)))) == pytest.approx(len(list(paths(lattice))))


def test_impossible_arcs_are_on_no_path() -> None:
    lattice = random_lattice(2)
    weights = lattice.weights()
    arc = best_path(lattice, weights)[0]
    weights[arc] = -np.inf
    assert arc not in best_path(lattice, weights)
    assert arc_log_posteriors(lattice, weights)[arc] == -np.inf


def test_a_lattice_of_one_node_has_one_empty_path() -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [], [], [], {"lm": []}, final={0: {}})
    assert (total(lattice, lattice.weights()), best_path(lattice, lattice.weights()).tolist()) == (0.0, [])
