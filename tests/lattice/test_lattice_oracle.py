"""The oracle is the best of all paths, and its errors are those of its words."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.evaluation.word_errors import count_errors
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.oracle import oracle_path


def errors(reference: str, text: str) -> int:
    return int(count_errors([reference], [text], "word")[0, :3].sum())


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_it_is_the_best_of_all_paths(seed: int, epsilon: float) -> None:
    random = np.random.default_rng(seed)
    lattice = random_lattice(seed, nodes=7, arcs=14, epsilon=epsilon)
    reference = " ".join(random.choice(["a", "b", "c", "d", "unheard"], size=random.integers(0, 7)))
    found = oracle_path(lattice, reference.split())
    assert found.errors == min(errors(reference, lattice.text(path)) for path in paths(lattice))
    assert found.errors == errors(reference, lattice.text(found.arcs))
    assert found.arcs.tolist() in list(paths(lattice))
    said = len(lattice.text(found.arcs).split())
    assert len(reference.split()) - found.deletions + found.insertions == said


def test_a_lattice_of_one_node_deletes_all() -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [], [], [], {"lm": []}, final={0: {}})
    found = oracle_path(lattice, ["a", "b"])
    assert (found.deletions, found.errors, found.arcs.tolist()) == (2, 2, [])
