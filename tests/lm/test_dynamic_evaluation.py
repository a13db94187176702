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
from asr_lm.lm.scoring.dynamic_evaluation import DynamicReader
from asr_lm.lm.scoring.learning import Learning
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
    found = scorer.learning_reader(Learning(0.1)).token_log_probs(SENTENCES)
    static = scorer.stream().token_log_probs(SENTENCES)
    assert [len(values) for values in found] == [len(sentence) + 1 for sentence in SENTENCES]
    np.testing.assert_allclose(found[0], static[0], atol=1e-5)
    assert not np.allclose(found[1], static[1], atol=1e-4)


@every_model
def test_a_rate_near_nothing_learns_nothing(family: str, output: OutputKind) -> None:
    scorer = model(family, output)
    for carry_state, static in ((True, scorer.stream().token_log_probs), (False, scorer.token_log_probs)):
        found = scorer.learning_reader(Learning(1e-12), carry_state=carry_state).token_log_probs(SENTENCES)
        np.testing.assert_allclose(np.concatenate(found), np.concatenate(static(SENTENCES)), atol=1e-4)


@every_model
def test_the_step_is_down_the_gradient_of_the_sentence(family: str, output: OutputKind) -> None:
    scorer = model(family, output)
    first, second = SENTENCES[3:5]
    found = scorer.learning_reader(Learning(0.05), carry_state=False).token_log_probs([first, second])[1]
    network = scorer.network.eval()
    inputs = torch.tensor([[VOCABULARY.bos_id, *first.tolist()]])
    targets = torch.tensor([*first.tolist(), VOCABULARY.eos_id])
    network.output.nll(network(inputs)[0][0], targets).sum().backward()
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.data -= 0.05 * parameter.grad
    np.testing.assert_allclose(found, scorer.token_log_probs([second])[0], atol=1e-5)


def test_what_was_read_is_known_when_it_comes_again() -> None:
    reader = model().learning_reader(Learning(0.05), carry_state=False)
    sums = [sum(values.sum() for values in reader.token_log_probs(SENTENCES)) for _ in range(6)]
    assert sums == sorted(sums)
    assert sums[-1] > sums[0] + 10


def test_the_model_stays_as_it_is() -> None:
    scorer = model()
    before = scorer.fingerprint()
    scorer.learning_reader(Learning(0.5)).token_log_probs(SENTENCES)
    assert scorer.fingerprint() == before
    assert all(parameter.grad is None for parameter in scorer.network.parameters())


def test_a_text_in_pieces_is_the_text_in_one() -> None:
    whole = model().learning_reader(Learning(0.1)).token_log_probs(SENTENCES)
    reader = model().learning_reader(Learning(0.1))
    pieces = [values for at in range(0, 12, 5) for values in reader.token_log_probs(SENTENCES[at : at + 5])]
    np.testing.assert_allclose(np.concatenate(pieces), np.concatenate(whole), atol=1e-6)
    assert reader.token_log_probs([]) == []


def test_measured_like_any_perplexity() -> None:
    lines = [" ".join(f"w{token - 3}" for token in sentence) for sentence in SENTENCES if len(sentence)]
    (static,), (dynamic,) = (measure([model()], lines, carry_state=True, dynamic=how) for how in ((), [Learning(0.1)]))
    kept = [sentence for sentence in SENTENCES if len(sentence)]
    expected = sum(values.sum() for values in model().learning_reader(Learning(0.1)).token_log_probs(kept))
    assert dynamic.log_prob == pytest.approx(expected, abs=1e-4)
    assert (dynamic.tokens, dynamic.words) == (static.tokens, static.words)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(InputError, match="expected a learning rate above 0"):
        model().learning_reader(Learning(rate))


def test_a_rate_that_is_too_high_is_told_and_gives_no_score() -> None:
    with pytest.raises(InputError, match="too high: the weights diverge"):
        model().learning_reader(Learning(1e38)).token_log_probs(SENTENCES)


def test_a_rate_at_which_the_model_does_worse_than_guessing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr_lm.lm.scoring.dynamic_evaluation._FAIR_TRIAL", 20)
    scorer = model("rnnlm", "nce")
    for parameter in scorer.network.parameters():
        parameter.detach().mul_(0.1)  # near to guessing
    text = SENTENCES * 5
    assert np.concatenate(scorer.learning_reader(Learning(0.01)).token_log_probs(text)).mean() > -np.log(
        2 * VOCABULARY.size
    )
    with pytest.raises(InputError, match=r"5\.0 is too high: the weights diverge"):
        scorer.learning_reader(Learning(5.0)).token_log_probs(text)
    monkeypatch.setattr("asr_lm.lm.scoring.dynamic_evaluation._FAIR_TRIAL", 10**6)
    assert np.isfinite(np.concatenate(scorer.learning_reader(Learning(5.0)).token_log_probs(text))).all()


TEXT = [" ".join(f"w{token - 3}" for token in sentence) for sentence in SENTENCES if len(sentence)]


@every_model
def test_steps_are_scaled_by_the_gradients_on_a_text(family: str, output: OutputKind) -> None:
    """Krause et al. 2018, with a text of one sentence whose squared gradients are its own."""
    scorer = model(family, output)
    first, second, own = SENTENCES[3], SENTENCES[4], SENTENCES[8]
    text = (" ".join(f"w{token - 3}" for token in own),)
    learning = Learning(0.05, text, 0.3)
    found = scorer.learning_reader(learning, carry_state=False).token_log_probs([first, second])[1]
    network = scorer.network.eval()
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]

    def gradients(sentence: Tokens) -> list[torch.Tensor]:
        inputs = torch.tensor([[VOCABULARY.bos_id, *sentence.tolist()]])
        targets = torch.tensor([*sentence.tolist(), VOCABULARY.eos_id])
        loss = network.output.nll(network(inputs)[0][0], targets).sum()
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]

    rms = [gradient.abs() for gradient in gradients(own)]
    mean = torch.cat([each.flatten() for each in rms]).double().mean().item()
    began = [weight.detach().clone() for weight in weights]
    for weight, gradient, before, size in zip(weights, gradients(first), began, rms, strict=True):
        weight.data -= 0.05 * gradient / (size + mean)
        weight.data += torch.clamp(0.3 * size / mean, max=1) * (before - weight.data)
    np.testing.assert_allclose(found, scorer.token_log_probs([second])[0], atol=1e-4)


def test_the_size_of_gradients_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    once = model().learning_reader(Learning(0.01, TEXT, 0.1)).token_log_probs(SENTENCES)
    given = DynamicReader._gradients

    def doubled(reader: DynamicReader, sentence: Tokens) -> tuple[torch.Tensor, list[torch.Tensor]]:
        nll, gradients = given(reader, sentence)
        return nll, [2 * gradient for gradient in gradients]

    monkeypatch.setattr(DynamicReader, "_gradients", doubled)
    twice = model().learning_reader(Learning(0.01, TEXT, 0.1)).token_log_probs(SENTENCES)
    np.testing.assert_allclose(np.concatenate(once), np.concatenate(twice), rtol=1e-4)


def test_a_decay_of_one_forgets_what_every_sentence_teaches() -> None:
    """Weights with usual gradients are back where they began; those with none hardly moved."""
    static = np.concatenate(model().token_log_probs(SENTENCES))
    kept, forgotten = (
        np.concatenate(
            model().learning_reader(Learning(0.05, TEXT, decay), carry_state=False).token_log_probs(SENTENCES)
        )
        for decay in (0.0, 1.0)
    )
    assert np.abs(forgotten - static).mean() < 0.3 * np.abs(kept - static).mean()


@pytest.mark.parametrize(("decay", "text"), [(-0.1, ("w1",)), (1.5, ("w1",)), (0.1, ())])
def test_a_decay_that_is_none(decay: float, text: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        Learning(0.1, text, decay)
