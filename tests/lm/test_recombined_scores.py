"""Laws of scores with recombined histories: exact for models of no longer memory, near for others, kept apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Model, Gpt1Network
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.families.nnlm.network import NnlmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(8)])
GENERATOR = np.random.default_rng(1)
TEXTS = [" ".join(f"w{word}" for word in GENERATOR.integers(8, size=GENERATOR.integers(0, 12))) for _ in range(300)]


def model(kind: str) -> NeuralLanguageModel:
    torch.manual_seed(1)
    size = VOCABULARY.size
    if kind == "nnlm":
        return NeuralLanguageModel(kind, NnlmNetwork(NnlmConfig(size, order=4)), VOCABULARY, "as-is")
    if kind == "gpt1":
        network = Gpt1Network(Gpt1Config(size, layers=2, width=16, heads=2, positions=32))
        return Gpt1Model(kind, network, VOCABULARY, "as-is")
    return NeuralLanguageModel(kind, LstmNetwork(LstmConfig(size, 16, 16)), VOCABULARY, "as-is")


def test_a_model_of_no_longer_memory_scores_as_before() -> None:
    scorer = model("nnlm")
    exact = scorer.log_prob(TEXTS)
    scorer.recombine(3)  # what an order of 4 remembers
    np.testing.assert_allclose(scorer.log_prob(TEXTS), exact, atol=1e-4)
    scorer.recombine(1)
    assert float(np.abs(scorer.log_prob(TEXTS) - exact).max()) > 1e-3


@pytest.mark.parametrize("kind", ["lstm", "gpt1"])
def test_long_histories_are_exact_and_short_ones_read_fewer_prefixes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, nodes = model(kind), []
    real = type(scorer).node_log_probs

    def counting(self, tree):  # type: ignore[no-untyped-def]
        nodes.append(len(tree))
        return real(self, tree)

    monkeypatch.setattr(type(scorer), "node_log_probs", counting)
    exact = scorer.log_prob(TEXTS)
    scorer.recombine(20)
    np.testing.assert_allclose(scorer.log_prob(TEXTS), exact, atol=1e-4)
    scorer.recombine(2)
    near = scorer.log_prob(TEXTS)
    assert nodes[1] == nodes[0]
    assert nodes[2] < nodes[0] / 2
    assert float(np.corrcoef(near, exact)[0, 1]) > 0.9
    scorer.recombine(0)
    np.testing.assert_array_equal(scorer.log_prob(TEXTS), exact)


def test_it_is_kept_apart_and_holds_for_jackknife_models() -> None:
    scorer = model("lstm")
    exact = scorer.fingerprint()
    scorer.recombine(2)
    two = scorer.fingerprint()
    scorer.recombine(3)
    assert len({exact, two, scorer.fingerprint()}) == 3
    opened = RescoringModel.of(model("lstm"))
    opened.recombine(2)
    assert opened.model.recombined_words == 2  # type: ignore[attr-defined]
    lists = [Utterance("u", tuple(Hypothesis(text, {}) for text in TEXTS[:3]))]
    assert opened.scorer.score_list(lists).log_prob.shape == (3,)
    with pytest.raises(InputError, match="expected 0 or more words, not -1"):
        opened.recombine(-1)


def test_pieces_say_where_words_begin() -> None:
    vocabulary = SentencePieceVocabulary.train(["the cat sat on the mat", "dogs and cats sat"] * 30, 290)
    begins = vocabulary.begins_word
    for word in ("the", "cats", "dogs"):
        first, *others = begins[vocabulary.encode(word)].tolist()
        assert first
        assert not any(others)
    assert VOCABULARY.begins_word.all()
