"""A rescored lattice says of every path what the model says of its words."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_lattices import SYMBOLS, paths, random_lattice

from asr_lm.errors import InputError
from asr_lm.lattice.expansion import Expanded, ExpansionOptions, expand_together
from asr_lm.lattice.forward_backward import best_path
from asr_lm.lattice.lattice import Lattice
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.families.nnlm.network import NnlmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LanguageModel
from asr_lm.lm.training.options import TextOptions
from asr_lm.lm.training.recipe import train_ngram_model
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

EXACT = ExpansionOptions(history=None, beam=None)
SCALES = {"acoustic": 1.0, "lm": 0.3, "new": 0.7}
WORDS = SYMBOLS[1:4]  # "d" is unknown


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(5)
    text = [" ".join(random.choice(WORDS, size=random.integers(1, 6))) for _ in range(200)]
    (folder / "text").write_text("\n".join(text) + "\n")
    train_ngram_model(TextOptions((folder / "text",), None, "as-is", "words"), folder / "ngram", order=3)
    torch.manual_seed(3)
    words = WordVocabulary.build(iter(text))
    pieces = SentencePieceVocabulary.train(iter([*text, "abcd dcba"] * 5), 268, model_type="bpe")
    lstm = LstmNetwork(LstmConfig(pieces.size, 8, 8, layers=2))
    for parameter in lstm.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    nnlm = NnlmNetwork(NnlmConfig(words.size, order=3, embedding=6, hidden=6))
    return {
        "ngram": NgramModel.load(folder / "ngram"),
        "lstm": NeuralLanguageModel("lstm", lstm, pieces, "as-is"),
        "nnlm": NeuralLanguageModel("nnlm", nnlm, words, "as-is"),
    }


def expand(lattice: Lattice, *arguments: Any, **options: Any) -> Expanded:
    return expand_together([lattice], *arguments, **options)


def said_by(model: LanguageModel, text: str) -> float:
    return float(model.score_tokens(model.vocabulary.encode_batch([text]))[0])


@pytest.mark.parametrize("family", ["ngram", "lstm", "nnlm"])
@pytest.mark.parametrize("seed", range(8))
class TestExact:
    def test_every_path_has_the_score_of_its_words(
        self, models: dict[str, LanguageModel], family: str, seed: int
    ) -> None:
        lattice = random_lattice(seed, nodes=6, arcs=10, epsilon=0.3)
        expanded = expand(lattice, models[family], "new", SCALES, EXACT).lattices[0]
        texts = set()
        for path in paths(expanded):
            text = expanded.text(path)
            texts.add(text)
            found = expanded.scores["new"][path].sum()
            assert found == pytest.approx(said_by(models[family], text), abs=1e-4 * (len(text.split()) + 1))
        assert texts == {lattice.text(path) for path in paths(lattice)}

    def test_the_old_scores_stay(self, models: dict[str, LanguageModel], family: str, seed: int) -> None:
        lattice = random_lattice(seed, nodes=6, arcs=10, epsilon=0.3)
        expanded = expand(lattice, models[family], "new", SCALES, EXACT).lattices[0]
        old = {"acoustic": 1.0, "lm": 1.0}

        def totals(some: Lattice) -> list[tuple[str, float]]:
            weights = some.weights(old)
            return sorted((some.text(path), round(float(weights[path].sum()), 6)) for path in paths(some))

        assert {item for item, _ in itertools.groupby(totals(expanded))} == {
            item for item, _ in itertools.groupby(totals(lattice))
        }

    def test_the_frontier_changes_nothing(self, models: dict[str, LanguageModel], family: str, seed: int) -> None:
        lattice = random_lattice(seed, nodes=6, arcs=10)
        results = [
            expand(lattice, models[family], "new", SCALES, ExpansionOptions(None, None, frontier=size))
            for size in (1, 5, 1000)
        ]

        def by_path(some: Lattice) -> list[tuple[str, float]]:
            return sorted((some.text(path), round(float(some.scores["new"][path].sum()), 3)) for path in paths(some))

        totals = [by_path(result.lattices[0]) for result in results]
        assert totals[0] == totals[1] == totals[2]


@pytest.mark.parametrize("family", ["ngram", "lstm", "nnlm"])
class TestTogether:
    def test_lattices_side_by_side_are_what_each_is_alone(self, models: dict[str, LanguageModel], family: str) -> None:
        lattices = [random_lattice(seed, nodes=5 + seed, arcs=8 + 3 * seed, epsilon=0.2) for seed in range(6)]
        search = ExpansionOptions(history=2, beam=5.0, frontier=4)
        together = expand_together(lattices, models[family], "new", SCALES, search)
        alone = [expand(lattice, models[family], "new", SCALES, search) for lattice in lattices]
        assert together.states == sum(one.states for one in alone)
        assert together.evaluations <= sum(one.evaluations for one in alone)
        for found, expected in zip(together.lattices, alone, strict=True):
            assert found.id == expected.lattices[0].id
            for column in ("source", "target", "word"):
                np.testing.assert_array_equal(getattr(found, column), getattr(expected.lattices[0], column))
            np.testing.assert_allclose(found.scores["new"], expected.lattices[0].scores["new"], atol=1e-5)

    def test_none_at_all(self, models: dict[str, LanguageModel], family: str) -> None:
        assert expand_together([], models[family], "new", SCALES).lattices == ()


def best_text(lattice: Lattice) -> tuple[str, float]:
    weights = lattice.weights(SCALES)
    path = best_path(lattice, weights)
    return lattice.text(path), float(weights[path].sum())


@pytest.mark.parametrize("family", ["ngram", "lstm", "nnlm"])
class TestSearch:
    def test_an_n_gram_needs_no_more_history_than_it_has(self, models: dict[str, LanguageModel], family: str) -> None:
        lattice = random_lattice(11, nodes=9, arcs=30, epsilon=0.0)
        exact = expand(lattice, models[family], "new", SCALES, EXACT)
        short = expand(lattice, models[family], "new", SCALES, ExpansionOptions(history=2, beam=None))
        assert short.states <= exact.states or family == "ngram"
        if family != "lstm":
            assert best_text(short.lattices[0])[1] == pytest.approx(best_text(exact.lattices[0])[1], abs=1e-4)

    def test_a_beam_asks_less_and_keeps_the_best(self, models: dict[str, LanguageModel], family: str) -> None:
        exact_work, work, same = 0, 0, 0
        for seed in range(12):
            lattice = random_lattice(seed, nodes=9, arcs=30)
            exact = expand(lattice, models[family], "new", SCALES, EXACT)
            narrow = expand(lattice, models[family], "new", SCALES, ExpansionOptions(None, beam=4.0))
            exact_work += exact.evaluations
            work += narrow.evaluations
            same += best_text(narrow.lattices[0])[0] == best_text(exact.lattices[0])[0]
            assert best_text(narrow.lattices[0])[1] <= best_text(exact.lattices[0])[1] + 1e-6
        assert work < exact_work
        assert same >= 11

    def test_a_score_that_stands_in_well_needs_hardly_a_beam(
        self, models: dict[str, LanguageModel], family: str
    ) -> None:
        """What the old language model said guides the search even where its own weight is nothing."""
        blind, guided = 0, 0
        for seed in range(12):
            lattice = random_lattice(seed, nodes=9, arcs=30, epsilon=0.0).without_scores("lm")
            scales = {"acoustic": 1.0, "new": 2.0}
            known = expand(lattice, models[family], "lm", {"acoustic": 1.0, "lm": 2.0}, EXACT).lattices[0]
            weights = known.weights({"acoustic": 1.0, "lm": 2.0})
            best = known.text(best_path(known, weights))
            narrow = ExpansionOptions(None, beam=0.01)
            found = expand(known, models[family], "new", {**scales, "lm": 0.0}, narrow)
            totals = found.lattices[0].weights(scales)
            assert found.lattices[0].text(best_path(found.lattices[0], totals)) == best
            guided += found.states
            blind += expand(known, models[family], "new", {**scales, "lm": 0.0}, narrow, stand_in="nothing").states
        assert guided < blind

    def test_a_limit_of_states_still_gives_a_lattice(self, models: dict[str, LanguageModel], family: str) -> None:
        lattice = random_lattice(3, nodes=9, arcs=30)
        one = expand(lattice, models[family], "new", SCALES, ExpansionOptions(most_states=1, frontier=1))
        assert one.states == 1
        old = lattice.weights({"acoustic": 1.0, "lm": 0.3})
        assert lattice.text(best_path(lattice, old)) in {one.lattices[0].text(path) for path in paths(one.lattices[0])}


class TestRefused:
    def test_a_name_that_is_taken(self, models: dict[str, LanguageModel]) -> None:
        with pytest.raises(InputError, match="a score 'lm' already"):
            expand(random_lattice(1), models["ngram"], "lm", SCALES)

    def test_a_scale_without_a_score(self, models: dict[str, LanguageModel]) -> None:
        with pytest.raises(InputError, match="no score 'x'"):
            expand(random_lattice(1), models["ngram"], "new", {"x": 1.0})

    @pytest.mark.parametrize("how", [{"history": -1}, {"beam": -1.0}, {"most_states": 0}, {"frontier": 0}])
    def test_impossible_searches(self, how: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="or more"):
            ExpansionOptions(**how)


def test_unknown_and_silent_words(models: dict[str, LanguageModel], tmp_path: Path) -> None:
    lattice = Lattice.from_arcs("u", SYMBOLS, [0, 1, 2], [1, 2, 3], [4, 0, 1], {"acoustic": [0.0] * 3}, final={3: {}})
    expanded = expand(lattice, models["ngram"], "new", {"new": 1.0}).lattices[0]
    assert expanded.scores["new"].sum() == pytest.approx(said_by(models["ngram"], "d a"))
