"""A confusion network keeps the lattice's words, order and probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.errors import InputError
from asr_lm.lattice.confusion_network import confusion_network
from asr_lm.lattice.forward_backward import arc_log_posteriors
from asr_lm.lattice.lattice import EPSILON, Lattice

SEEDS = range(25)


def passes(slots: list[dict[str, float]], words: list[str]) -> bool:
    """Whether the words can be read off the slots in order."""
    if len(words) > len(slots):
        return False
    if not words:
        return True
    taken = words[0] in slots[0] and passes(slots[1:], words[1:])
    return taken or passes(slots[1:], words)


@pytest.mark.parametrize("seed", SEEDS)
class TestLaws:
    def test_every_slot_is_a_distribution(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=16)
        for slot in confusion_network(lattice, lattice.weights(), 0.0).slots:
            assert sum(slot.values()) == pytest.approx(1.0, abs=1e-9)
            assert min(slot.values()) >= 0

    def test_every_path_is_a_path_through_it(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=16)
        slots = list(confusion_network(lattice, lattice.weights(), 0.0).slots)
        for path in paths(lattice):
            assert passes(slots, lattice.text(path).split())

    def test_no_word_is_lost(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=7, arcs=16)
        posteriors = np.exp(arc_log_posteriors(lattice, lattice.weights()))
        slots = confusion_network(lattice, lattice.weights(), 0.0).slots
        for number, word in enumerate(SYMBOLS):
            if number != EPSILON:
                said = posteriors[lattice.word == number].sum()
                assert sum(slot.get(word, 0.0) for slot in slots) == pytest.approx(said, abs=1e-9)


def chain(*slots: dict[str, float], times: bool = True) -> Lattice:
    """A row of slots as a lattice."""
    source = [place for place, slot in enumerate(slots) for _ in slot]
    words = [SYMBOLS.index(word) for slot in slots for word in slot]
    scores = {"lm": np.log([share for slot in slots for share in slot.values()])}
    target = [place + 1 for place in source]
    begin, end = (source, target) if times else (None, None)
    return Lattice.from_arcs("u", SYMBOLS, source, target, words, scores, final={len(slots): {}}, begin=begin, end=end)


@pytest.mark.parametrize("times", [True, False])
def test_a_row_of_slots_is_found_again(times: bool) -> None:
    slots = ({"a": 0.7, "b": 0.3}, {"c": 0.9, "d": 0.1}, {"a": 0.4, "": 0.6})
    lattice = chain(*slots, times=times)
    found = confusion_network(lattice, lattice.weights())
    for slot, expected in zip(found.slots, slots, strict=True):
        assert {word: share for word, share in slot.items() if share > 1e-9} == pytest.approx(expected)
    assert found.consensus() == [("a", pytest.approx(0.7)), ("c", pytest.approx(0.9))]
    assert found.text() == "a c"
    assert found.expected_errors() == pytest.approx(0.3 + 0.1 + 0.4)


def test_one_word_at_slightly_other_times_is_one_word() -> None:
    """Nine arcs of ``a`` that begin and end a little apart, against a single ``b`` more likely than each of them."""
    random = np.random.default_rng(2)
    jitter = random.uniform(0, 0.2, size=(9, 2))
    source, target = [0] * 10, list(range(1, 11))
    scores = {"lm": np.log([0.08] * 9 + [0.28])}
    begin, end = np.append(jitter[:, 0], 0.1), np.append(1 + jitter[:, 1], 1.1)
    lattice = Lattice.from_arcs(
        "u", SYMBOLS, source, target, [1] * 9 + [2], scores, final={n: {} for n in target}, begin=begin, end=end
    )
    found = confusion_network(lattice, lattice.weights())
    assert found.consensus() == [("a", pytest.approx(0.72))]
    assert len(found.slots) == 1


def test_unlikely_arcs_are_left_out_when_asked() -> None:
    lattice = chain({"a": 0.95, "b": 0.05}, {"c": 1.0})
    assert set(confusion_network(lattice, lattice.weights(), 0.1).slots[0]) == {"a", ""}
    with pytest.raises(InputError, match="probability"):
        confusion_network(lattice, lattice.weights(), 2.0)


def test_an_empty_lattice_has_no_slot() -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [], [], [], {"lm": []}, final={0: {}})
    assert confusion_network(lattice, lattice.weights()).text() == ""
