"""How many words tell histories apart: the fewest that move no error rate, kept with the weights, told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from counting_model import counting

import asr_lm
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.rescoring import recombination
from asr_lm.rescoring.recombination import MOST_MOVED, TRIED, WITHOUT_DEVELOPMENT
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights
from asr_lm.text.vocabulary import WordVocabulary

WORDS = tuple(f"w{number}" for number in range(8))


def model() -> RescoringModel:
    torch.manual_seed(1)
    vocabulary = WordVocabulary(WORDS)
    network = LstmNetwork(LstmConfig(vocabulary.size, 16, 16))
    for parameter in network.parameters():
        parameter.data *= 4  # so that words far back matter
    found = RescoringModel.of(NeuralLanguageModel("lstm", network, vocabulary, "as-is"), "lm")
    found.recombine("auto")
    return found


def lists(seed: int, utterances: int = 60) -> list[Utterance]:
    """The reference is what the model likes best of each list, so that its scores decide."""
    generator = np.random.default_rng(seed)
    scorer, found = model().model, []
    for number in range(utterances):
        stem = generator.choice(WORDS, 10)
        said = []
        for _ in range(8):
            changed = stem.copy()
            changed[generator.integers(10)] = generator.choice(WORDS)
            said.append(" ".join(changed))
        best = said[int(np.argmax(scorer.score(said)))]
        found.append(Utterance(f"{seed}-{number}", tuple(Hypothesis(text, {"am": 0.0}) for text in said), best))
    return found


def test_the_fewest_words_that_move_no_error_rate_are_taken() -> None:
    auto, dev = model(), lists(1)
    tuned = asr_lm.tune(dev, auto)
    assert tuned.development is not None
    chosen = tuned.development.recombination
    assert chosen is not None
    assert list(chosen.moved) == list(TRIED[: len(chosen.moved)])
    *before, last = chosen.moved.values()
    assert before
    assert all(abs(points) > MOST_MOVED for points in before)
    assert abs(last) <= MOST_MOVED or chosen.words == 0
    assert auto.recombined == chosen.words == tuned.weights.recombined
    # What is tuned and kept are the scores with so many words.
    fixed = model()
    fixed.recombine(chosen.words)
    again = asr_lm.tune(dev, fixed)
    assert again.weights.values == tuned.weights.values
    assert again.models == tuned.models
    assert again.development is not None
    assert again.development.recombination is None


def test_where_every_number_moves_it_all_histories_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recombination, "MOST_MOVED", -1.0)
    auto, exact = model(), model()
    exact.recombine(0)
    tuned = asr_lm.tune(lists(1), auto)
    assert tuned.development is not None
    assert tuned.development.recombination is not None
    assert list(tuned.development.recombination.moved) == list(TRIED)
    assert (tuned.development.recombination.words, auto.recombined) == (0, 0)
    assert tuned.weights.values == asr_lm.tune(lists(1), exact).weights.values


def test_another_development_list_is_asked_anew() -> None:
    auto = model()
    auto.choose_recombination(2)
    fresh = model()
    assert asr_lm.tune(lists(2), auto).weights == asr_lm.tune(lists(2), fresh).weights


def test_weights_remember_it(tmp_path: Path) -> None:
    tuned = asr_lm.tune(lists(1), model())
    tuned.save(tmp_path / "weights.json")
    for weights in (tmp_path / "weights.json", tuned.weights, tuned):
        later = model()
        asr_lm.rescore(lists(3), later, weights)
        assert later.recombined == tuned.weights.recombined
        assert later.model.fingerprint() == tuned.models["lm"]
    served = model()
    asr_lm.Rescorer(served, tmp_path / "weights.json")
    assert served.recombined == tuned.weights.recombined


def test_weights_of_exact_scores_get_exact_scores_and_none_get_the_default() -> None:
    exact, bare = model(), model()
    asr_lm.rescore(lists(3), exact, Weights(values={"am": 1.0, "lm": 0.5}))
    assert exact.recombined == 0
    asr_lm.rescore(lists(3), bare)
    assert bare.recombined == WITHOUT_DEVELOPMENT
    asked = model()
    asked.recombine(3)
    asr_lm.rescore(lists(3), asked)
    assert asked.recombined == 3


def test_models_that_read_no_histories_choose_nothing() -> None:
    other = counting(words=WORDS)
    other.recombine("auto")
    tuned = asr_lm.tune(lists(1), other)
    assert tuned.development is not None
    assert tuned.development.recombination is None
    assert tuned.weights.recombined == 0


def test_the_scores_and_the_speed_of_each_are_kept_apart(tmp_path: Path) -> None:
    auto = model()
    auto.scorer.cache.folder = tmp_path
    tuned: Tuned = asr_lm.tune(lists(1), auto)
    assert tuned.development is not None
    assert tuned.development.recombination is not None
    exact = 1
    assert len(list(tmp_path.glob("*.scores"))) == exact + len(tuned.development.recombination.moved)


def test_weights_of_less_than_no_words_are_damaged(tmp_path: Path) -> None:
    Weights(values={"am": 1.0}, recombined=-1).save(tmp_path / "weights.json")
    with pytest.raises(InputError, match="-1, 0 or more words were expected"):
        Weights.load(tmp_path / "weights.json")
