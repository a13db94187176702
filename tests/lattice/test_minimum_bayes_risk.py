"""Expected errors are those of all paths, and the MBR hypothesis has the fewest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.evaluation.word_errors import count_errors
from asr_lm.lattice.forward_backward import best_path, total
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.minimum_bayes_risk import expected_errors, mbr_hypothesis

SEEDS = range(20)


def likelihoods(lattice: Lattice) -> list[tuple[str, float]]:
    weights = lattice.weights()
    whole = total(lattice, weights)
    return [(lattice.text(path), float(np.exp(weights[path].sum() - whole))) for path in paths(lattice)]


def brute_force(lattice: Lattice, text: str) -> float:
    said = likelihoods(lattice)
    counts = count_errors([reference for reference, _ in said], [text] * len(said), "word")[:, :3].sum(1)
    return float(np.dot(counts, [share for _, share in said]))


def numbers(text: str) -> list[int]:
    return [SYMBOLS.index(word) for word in text.split()]


@pytest.mark.parametrize("seed", SEEDS)
class TestExpectedErrors:
    def test_the_recursion_is_a_close_bound(self, seed: int) -> None:
        lattice = random_lattice(seed)
        for text in ("", "a", "a b", "d c b a"):
            exact, bound = brute_force(lattice, text), expected_errors(lattice, lattice.weights(), numbers(text))
            assert exact - 1e-3 <= bound <= 1.5 * exact + 1e-3

    def test_of_a_single_word_slot_it_is_exact(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        scores = random.normal(size=4)
        lattice = Lattice.from_arcs("u", SYMBOLS, [0] * 4, [1] * 4, [0, 1, 2, 3], {"lm": scores}, final={1: {}})
        for text in ("", "a", "b", "c", "d", "a b"):
            found = expected_errors(lattice, lattice.weights(), numbers(text))
            assert found == pytest.approx(brute_force(lattice, text), abs=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
class TestMbrHypothesis:
    def test_it_has_no_more_expected_errors_than_the_best_path(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=16)
        found = mbr_hypothesis(lattice, lattice.weights())
        best = lattice.text(best_path(lattice, lattice.weights()))
        assert list(found.history) == sorted(found.history, reverse=True)
        assert found.history[0] == pytest.approx(expected_errors(lattice, lattice.weights(), numbers(best)))
        assert found.expected_errors == pytest.approx(expected_errors(lattice, lattice.weights(), found.words))

    def test_every_position_is_a_distribution(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=16)
        for choices in mbr_hypothesis(lattice, lattice.weights()).positions:
            assert sum(choices.values()) == pytest.approx(1.0, abs=1e-9)

    def test_of_slots_one_after_another_it_takes_the_likeliest_of_each(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        scores = 2 * random.normal(size=(5, 4))
        source = np.repeat(np.arange(5), 4)
        word = np.tile([1, 2, 3, 4], 5)
        lattice = Lattice.from_arcs("u", SYMBOLS, source, source + 1, word, {"lm": scores.ravel()}, final={5: {}})
        found = mbr_hypothesis(lattice, lattice.weights())
        assert found.words == tuple(1 + scores.argmax(axis=1))
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.confidence, shares.max(axis=1), atol=1e-9)
        assert found.expected_errors == pytest.approx((1 - shares.max(axis=1)).sum(), abs=1e-9)


def test_the_best_of_all_short_hypotheses_is_mostly_found() -> None:
    """The paper's iteration ends in a local optimum of a bound; on small lattices that is nearly always the optimum."""
    losses = []
    for seed in range(25):
        lattice = random_lattice(seed, nodes=5, arcs=8)
        found = brute_force(lattice, mbr_hypothesis(lattice, lattice.weights()).text(lattice))
        every = (" ".join(words) for length in range(5) for words in itertools.product(SYMBOLS[1:], repeat=length))
        losses.append(found - min(brute_force(lattice, text) for text in every))
    assert min(losses) > -1e-9
    assert np.median(losses) < 1e-9
    assert np.mean(losses) < 0.02


def test_a_single_path_is_certain() -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [0, 1, 2], [1, 2, 3], [1, 0, 2], {"lm": [1.0, 2, 3]}, final={3: {}})
    found = mbr_hypothesis(lattice, lattice.weights())
    assert (found.text(lattice), found.confidence, found.expected_errors) == ("a b", (1.0, 1.0), 0.0)


def test_it_may_say_what_no_path_says() -> None:
    """Three paths, each wrong in another word: the majority of each word is the hypothesis."""
    words = [1, 2, 4, 1, 4, 3, 4, 2, 3]
    source = [0, 1, 2, 0, 4, 5, 0, 6, 7]
    target = [1, 2, 3, 4, 5, 3, 6, 7, 3]
    lattice = Lattice.from_arcs("u", SYMBOLS, source, target, words, {"lm": [0.0] * 9}, final={3: {}})
    assert mbr_hypothesis(lattice, lattice.weights()).text(lattice) == "a b c"
