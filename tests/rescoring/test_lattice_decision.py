"""What a lattice says with the fewest expected errors, and how sure its posteriors should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.lattice.lattice import Lattice
from asr_lm.rescoring.lattice_words import SCALES, tune_scales, words_of
from asr_lm.rescoring.rules.registry import lattice_rules, rule

SYMBOLS = ("", "a", "b", "c", "d", "x", "y")
VALUES = {"acoustic": 2.0}


def sentences(weights: dict[str, float], reference: str | None = None) -> Lattice:
    """A path for every sentence, which scores what ``VALUES`` turn into its log-probability."""
    source, target, words, scores = [], [], [], []
    node, last = 1, 1000
    for text, probability in weights.items():
        at = 0
        for place, word in enumerate(text.split()):
            following = last if place == len(text.split()) - 1 else node
            node += 1
            source.append(at)
            target.append(following)
            words.append(SYMBOLS.index(word))
            scores.append(np.log(probability) / 2.0 if place == 0 else 0.0)
            at = following
    lattice = Lattice.from_arcs("u", SYMBOLS, source, target, words, {"acoustic": scores}, final={last: {}})
    return replace(lattice, reference=reference)


SPLIT = sentences({"x y a": 0.4, "b c a": 0.3, "b c d": 0.3})
"""The best path is ``x y a``; word by word ``b c a`` has fewer errors to be expected: 1.1 against 1.4."""


RULES = [found.name for found in lattice_rules()]


@pytest.mark.parametrize("name", RULES)
class TestDecide:
    def test_the_words_with_the_fewest_expected_errors(self, name: str) -> None:
        assert words_of(rule(name), SPLIT, VALUES, 1.0) == "b c a"

    def test_one_that_is_sure_takes_the_best_path(self, name: str) -> None:
        assert words_of(rule(name), SPLIT, VALUES, 100.0) == "x y a"

    def test_scores_without_a_weight_count_nothing(self, name: str) -> None:
        noise = SPLIT.with_scores({"noise": np.arange(len(SPLIT), dtype=np.float64)})
        assert words_of(rule(name), noise, VALUES, 1.0) == "b c a"


class TestTuneScales:
    @pytest.mark.parametrize(("reference", "is_sure"), [("x y a", True), ("b c a", False)])
    def test_what_the_references_say_decides(self, reference: str, is_sure: bool) -> None:
        scales = tune_scales([replace(SPLIT, reference=reference)] * 3, VALUES, 4.0)
        assert set(scales) == {"mbr", "rover"}
        for name, scale in scales.items():
            assert scale / 4.0 in SCALES
            assert words_of(rule(name), SPLIT, VALUES, scale) == reference
            assert is_sure == (scale > 1.0)

    def test_lattices_without_a_reference_say_nothing(self) -> None:
        known = replace(SPLIT, reference="b c a")
        assert tune_scales([SPLIT, known, SPLIT], VALUES, 4.0) == tune_scales([known], VALUES, 4.0)
        with pytest.raises(InputError, match="no development lattice has a reference"):
            tune_scales([SPLIT], VALUES, 1.0)
