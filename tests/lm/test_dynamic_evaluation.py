"""Laws of dynamic evaluation: each sentence is scored before it is learnt, and the model itself never changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.rnnlm import RnnlmConfig
from asr_lm.lm.families.rnnlm.network import RnnlmNetwork
from asr_lm.lm.neural import CausalNetwork, NeuralLanguageModel
from asr_lm.lm.protocol import Tokens
from asr_lm.lm.sizes import OutputKind
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(12)])
SENTENCES: list[Tokens] = [np.random.default_rng(n).integers(3, 15, size=n % 5).astype(np.int32) for n in range(12)]


def model(family: str = "rnnlm", output: OutputKind = "class") -> NeuralLanguageModel:
    torch.manual_seed(1)
    network: CausalNetwork
    if family == "rnnlm":
        network = RnnlmNetwork(RnnlmConfig(VOCABULARY.size, hidden=8, dropout=0.4, output=output, classes=4))
    else:
        config = LstmConfig(VOCABULARY.size, 8, 8, layers=2, dropout=0.4)
        network = LstmNetwork(replace(config, tied=output not in ("class", "adaptive"), output=output))
    for parameter in network.parameters():
        if parameter.requires_grad:
            nn.init.uniform_(parameter, -1.0, 1.0)
    return NeuralLanguageModel(family, network, VOCABULARY, "as-is")


every_model = pytest.mark.parametrize(
    ("family", "output"), [(f, o) for f in ("rnnlm", "lstm") for o in ("full", "class", "adaptive", "nce")]
)


@every_model
def test_a_sentence_is_scored_before_it_is_learnt(family: str, output: OutputKind) -> None:
    scorer = model(family, output)
    found = scorer.learning_reader(0.1).token_log_probs(SENTENCES)
    static = scorer.stream().token_log_probs(SENTENCES)
    assert [len(values) for values in found] == [len(sentence) + 1 for sentence in SENTENCES]
    np.testing.assert_allclose(found[0], static[0], atol=1e-5)
    assert not np.allclose(found[1], static[1], atol=1e-4)


@every_model
def test_a_rate_near_nothing_learns_nothing(family: str, output: OutputKind) -> None:
    scorer = model(family, output)
    for carry_state, static in ((True, scorer.stream().token_log_probs), (False, scorer.token_log_probs)):
        found = scorer.learning_reader(1e-12, carry_state=carry_state).token_log_probs(SENTENCES)
        np.testing.assert_allclose(np.concatenate(found), np.concatenate(static(SENTENCES)), atol=1e-4)


@every_model
def test_the_step_is_down_the_gradient_of_the_sentence(family: str, output: OutputKind) -> None:
    scorer = model(family, output)
    first, second = SENTENCES[3:5]
    found = scorer.learning_reader(0.05, carry_state=False).token_log_probs([first, second])[1]
    network = scorer.network.eval()
    inputs = torch.tensor([[VOCABULARY.bos_id, *first.tolist()]])
    targets = torch.tensor([*first.tolist(), VOCABULARY.eos_id])
    network.output.nll(network(inputs)[0][0], targets).sum().backward()
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.data -= 0.05 * parameter.grad
    np.testing.assert_allclose(found, scorer.token_log_probs([second])[0], atol=1e-5)


def test_what_was_read_is_known_when_it_comes_again() -> None:
    reader = model().learning_reader(0.05, carry_state=False)
    sums = [sum(values.sum() for values in reader.token_log_probs(SENTENCES)) for _ in range(6)]
    assert sums == sorted(sums)
    assert sums[-1] > sums[0] + 10


def test_the_model_stays_as_it_is() -> None:
    scorer = model()
    before = scorer.fingerprint()
    scorer.learning_reader(0.5).token_log_probs(SENTENCES)
    assert scorer.fingerprint() == before
    assert all(parameter.grad is None for parameter in scorer.network.parameters())


def test_a_text_in_pieces_is_the_text_in_one() -> None:
    whole = model().learning_reader(0.1).token_log_probs(SENTENCES)
    reader = model().learning_reader(0.1)
    pieces = [values for at in range(0, 12, 5) for values in reader.token_log_probs(SENTENCES[at : at + 5])]
    np.testing.assert_allclose(np.concatenate(pieces), np.concatenate(whole), atol=1e-6)
    assert reader.token_log_probs([]) == []


def test_measured_like_any_perplexity() -> None:
    lines = [" ".join(f"w{token - 3}" for token in sentence) for sentence in SENTENCES if len(sentence)]
    (static,), (dynamic,) = (measure([model()], lines, carry_state=True, dynamic=rate) for rate in (None, 0.1))
    kept = [sentence for sentence in SENTENCES if len(sentence)]
    expected = sum(values.sum() for values in model().learning_reader(0.1).token_log_probs(kept))
    assert dynamic.log_prob == pytest.approx(expected, abs=1e-4)
    assert (dynamic.tokens, dynamic.words) == (static.tokens, static.words)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(InputError, match="expected a learning rate above 0"):
        model().learning_reader(rate)


def test_a_rate_that_is_too_high_is_told_and_gives_no_score() -> None:
    with pytest.raises(InputError, match="too high: the weights diverge"):
        model().learning_reader(1e38).token_log_probs(SENTENCES)


def test_a_rate_at_which_the_model_does_worse_than_guessing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr_lm.lm.scoring.dynamic_evaluation._FAIR_TRIAL", 20)
    scorer = model("rnnlm", "nce")
    for parameter in scorer.network.parameters():
        parameter.detach().mul_(0.1)  # near to guessing
    text = SENTENCES * 5
    assert np.concatenate(scorer.learning_reader(0.01).token_log_probs(text)).mean() > -np.log(2 * VOCABULARY.size)
    with pytest.raises(InputError, match=r"5\.0 is too high: the weights diverge"):
        scorer.learning_reader(5.0).token_log_probs(text)
    monkeypatch.setattr("asr_lm.lm.scoring.dynamic_evaluation._FAIR_TRIAL", 10**6)
    assert np.isfinite(np.concatenate(scorer.learning_reader(5.0).token_log_probs(text))).all()
