"""Levels: every arc once, no node before those it follows."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lattices import random_lattice

from asr_lm.lattice.forward_backward import backward, forward
from asr_lm.lattice.levels import Levels


@pytest.mark.parametrize("seed", range(6))
class TestLevels:
    def test_every_arc_once_and_after_those_it_follows(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=12, arcs=40)
        for levels, end, begin in (
            (lattice.arriving, lattice.target, lattice.source),
            (lattice.leaving, lattice.source, lattice.target),
        ):
            assert sorted(levels.order.tolist()) == list(range(len(lattice)))
            done = {0} if end is lattice.target else {lattice.nodes - 1}
            for level in levels.levels:
                arcs = levels.order[level.arcs]
                assert set(begin[arcs].tolist()) <= done
                parts = np.split(arcs, level.begins[1:])
                assert [set(end[part].tolist()) for part in parts] == [{node} for node in level.nodes.tolist()]
                assert not done & set(level.nodes.tolist())
                done |= set(level.nodes.tolist())
            assert done == set(range(lattice.nodes))

    def test_other_scores_change_no_shape_and_the_sums_follow_them(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=12, arcs=40)
        forward(lattice, lattice.weights())
        halved = lattice.with_scores({name: values / 2 for name, values in lattice.scores.items()})
        assert halved.arriving is lattice.arriving
        for sweep in (forward, backward):
            np.testing.assert_allclose(
                sweep(halved, halved.weights(), "tropical"), sweep(lattice, lattice.weights(), "tropical") / 2
            )


def test_no_arcs() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert Levels.arriving(none, np.zeros(1, dtype=np.int64)).levels == ()
