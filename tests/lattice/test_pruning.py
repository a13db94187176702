"""Pruned lattices keep what they must and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lattices import paths, random_lattice, spoken

from asr_lm.errors import InputError
from asr_lm.lattice.forward_backward import arc_log_posteriors, best_path, total
from asr_lm.lattice.pruning import prune_by_beam, prune_by_posterior

SEEDS = range(15)


@pytest.mark.parametrize("seed", SEEDS)
class TestBeam:
    @pytest.mark.parametrize("beam", [0.0, 1.0, 3.0])
    def test_the_arcs_of_the_paths_within_it_are_left(self, seed: int, beam: float) -> None:
        lattice = random_lattice(seed, nodes=8, arcs=20)
        weights = lattice.weights()
        best = max(weights[path].sum() for path in paths(lattice))
        within = {arc for path in paths(lattice) if weights[path].sum() >= best - beam - 1e-9 for arc in path}
        assert len(prune_by_beam(lattice, weights, beam)) == len(within)
        assert spoken(prune_by_beam(lattice, weights, beam)) <= spoken(lattice)

    def test_an_endless_one_changes_nothing(self, seed: int) -> None:
        lattice = random_lattice(seed)
        assert spoken(prune_by_beam(lattice, lattice.weights(), 1e6)) == spoken(lattice)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("least", [0.01, 0.1, 0.5, 1.0])
class TestPosterior:
    def test_every_likely_arc_stays(self, seed: int, least: float) -> None:
        lattice = random_lattice(seed, nodes=8, arcs=20)
        weights = lattice.weights()
        likely = int((np.exp(arc_log_posteriors(lattice, weights)) >= least).sum())
        pruned = prune_by_posterior(lattice, weights, least)
        assert likely <= len(pruned) <= len(lattice)
        assert spoken(pruned) <= spoken(lattice)

    def test_the_best_path_stays_and_the_total_does_not_grow(self, seed: int, least: float) -> None:
        lattice = random_lattice(seed, nodes=8, arcs=20)
        pruned = prune_by_posterior(lattice, lattice.weights(), least)
        best, same = best_path(lattice, lattice.weights()), best_path(pruned, pruned.weights())
        assert pruned.text(same) == lattice.text(best)
        assert pruned.weights()[same].sum() == pytest.approx(lattice.weights()[best].sum(), abs=1e-9)
        assert total(pruned, pruned.weights()) <= total(lattice, lattice.weights()) + 1e-9


@pytest.mark.parametrize(("prune", "value"), [(prune_by_beam, -1.0), (prune_by_beam, np.nan), (prune_by_posterior, 2)])
def test_impossible_thresholds(prune: object, value: float) -> None:
    lattice = random_lattice(1)
    with pytest.raises(InputError, match="expected"):
        prune(lattice, lattice.weights(), value)  # type: ignore[operator]
