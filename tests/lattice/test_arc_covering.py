"""Covering paths pass every arc, and arcs get what the model says of them there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.lattice.arc_covering import cover, score_arcs
from asr_lm.lattice.forward_backward import best_path, through_arcs
from asr_lm.lattice.lattice import Lattice
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.text.vocabulary import WordVocabulary


@pytest.fixture(scope="module")
def model() -> NeuralLanguageModel:
    torch.manual_seed(1)
    words = WordVocabulary.build(iter(["a b c"]))
    network = LstmNetwork(LstmConfig(words.size, 6, 6))
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    return NeuralLanguageModel("lstm", network, words, "as-is")


@pytest.mark.parametrize("seed", range(15))
class TestCover:
    def test_every_arc_is_on_its_best_path(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=8, arcs=20)
        weights = lattice.weights()
        covering = cover(lattice, weights)
        through = through_arcs(lattice, weights)
        for arc, number in enumerate(covering.chosen.tolist()):
            path = covering.paths[number]
            assert arc in path
            assert weights[path].sum() == pytest.approx(through[arc], abs=1e-9)

    def test_paths_are_paths_the_best_first_and_none_twice(self, seed: int) -> None:
        lattice = random_lattice(seed, nodes=8, arcs=20)
        covering = cover(lattice, lattice.weights())
        every = list(paths(lattice))
        assert all(path.tolist() in every for path in covering.paths)
        assert covering.paths[0].tolist() == best_path(lattice, lattice.weights()).tolist()
        assert len({tuple(path.tolist()) for path in covering.paths}) == len(covering.paths) <= len(lattice)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_path_has_the_score_of_its_words(model: NeuralLanguageModel, seed: int) -> None:
    lattice = random_lattice(seed, nodes=8, arcs=20)
    scored = score_arcs(lattice, model, "new", lattice.weights())
    path = best_path(lattice, lattice.weights())
    expected = model.score_tokens(model.vocabulary.encode_batch([lattice.text(path)]))[0]
    assert scored.scores["new"][path].sum() == pytest.approx(expected, abs=1e-4)


def test_an_arc_gets_what_its_word_has_on_its_path(model: NeuralLanguageModel) -> None:
    """Two words for the second place: each is scored after the first word, and before what follows."""
    lattice = Lattice.from_arcs(
        "u", SYMBOLS, [0, 1, 1, 2], [1, 2, 2, 3], [1, 2, 3, 0], {"lm": [0.0, 0.0, -1.0, 0.0]}, final={3: {}}
    )
    scored = score_arcs(lattice, model, "new", lattice.weights()).scores["new"]
    first, second = model.token_log_probs(model.vocabulary.encode_batch(["a b", "a c"]))
    keys = [
        (SYMBOLS[word], target) for word, target in zip(lattice.word.tolist(), lattice.target.tolist(), strict=True)
    ]
    by_word = dict(zip(keys, scored.tolist(), strict=True))
    assert by_word == pytest.approx({("a", 1): first[0], ("b", 2): first[1], ("c", 2): second[1], ("", 3): first[2]})


def test_silence_scores_the_end_alone(model: NeuralLanguageModel) -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [0], [1], [0], {"lm": [0.0]}, final={1: {}})
    scored = score_arcs(lattice, model, "new", lattice.weights()).scores["new"]
    np.testing.assert_allclose(scored, model.score_tokens(model.vocabulary.encode_batch([""])), atol=1e-6)
