"""Laws of the simple recurrent network: the papers' formula, one result however it is computed, with every output."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from causal_laws import (
    BOS,
    EOS,
    VOCABULARY,
    CausalLaws,
    check_learning_by_heart,
    corpus_of,
    random_sentences,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.families.rnnlm import RnnlmConfig
from asr_lm.lm.families.rnnlm.network import RnnlmNetwork, sigmoid_recurrence
from asr_lm.lm.loading import load_model
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.output.classes import ClassOutput
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.sizes import OutputKind
from asr_lm.lm.training.batches import SentenceBatches, StreamBatches
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import TextOptions, TrainingOptions
from asr_lm.lm.training.recipe import train_model
from asr_lm.lm.weights_file import WEIGHTS_FILE

CONFIG = RnnlmConfig(VOCABULARY.size, hidden=10, classes=4, noise_samples=6, dropout=0.3)
every_output = pytest.mark.parametrize("output", ["class", "full", "adaptive", "nce"])


def model(output: OutputKind = "class", seed: int = 1) -> NeuralLanguageModel:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = RnnlmNetwork(replace(CONFIG, output=output))
    network.prepare(torch.tensor([0, 1, 50, *range(40, 40 + 12)]))
    for parameter in network.parameters():
        if parameter.requires_grad:
            nn.init.uniform_(parameter, -2.0, 2.0)
    return NeuralLanguageModel("rnnlm", network, VOCABULARY, "as-is")


@torch.no_grad()
def by_hand(scorer: NeuralLanguageModel, sentences: list[Tokens]) -> list[LogProbs]:
    """Token by token: s = σ(W w + U s + b), with the biases of the papers' form."""
    network = scorer.network.eval()
    assert isinstance(network, RnnlmNetwork)
    recurrent, embedding = network.weight.double(), network.embedding.weight.double()
    bias = network.bias.double() - recurrent @ torch.full((CONFIG.hidden,), 0.5, dtype=torch.float64)
    results = []
    for sentence in sentences:
        state = torch.full((CONFIG.hidden,), 0.1, dtype=torch.float64)
        values = []
        for token, target in zip([BOS, *sentence.tolist()], [*sentence.tolist(), EOS], strict=True):
            state = 1 / (1 + torch.exp(-(embedding[token] + recurrent @ state + bias)))
            values.append(-float(network.output.nll((2 * state - 1).float()[None], torch.tensor([target]))))
        results.append(np.array(values))
    return results


class TestRecurrence:
    @staticmethod
    def plainly(gates: Tensor, weight: Tensor, state: Tensor) -> Tensor:
        states = []
        for gate in gates:
            state = torch.sigmoid(gate + state @ weight.T)
            states.append(state)
        return torch.stack(states)

    @staticmethod
    def example(time: int = 6, batch: int = 3, units: int = 5) -> tuple[Tensor, Tensor, Tensor]:
        torch.manual_seed(time)
        double = {"dtype": torch.float64, "requires_grad": True}
        weight = torch.randn(units, units, **double)
        return torch.randn(time, batch, units, **double), weight, torch.rand(batch, units, **double)

    @pytest.mark.parametrize("time", [1, 2, 9])
    def test_it_is_the_formula(self, time: int) -> None:
        example = self.example(time)
        torch.testing.assert_close(sigmoid_recurrence(*example), self.plainly(*example), atol=1e-12, rtol=0)

    @pytest.mark.parametrize("time", [1, 2, 9])
    def test_its_gradients_are_those_of_the_formula(self, time: int) -> None:
        example = self.example(time)
        upstream = torch.randn(time, 3, 5, dtype=torch.float64)
        found = torch.autograd.grad(sigmoid_recurrence(*example), example, upstream)
        expected = torch.autograd.grad(self.plainly(*example), example, upstream)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
        assert torch.autograd.gradcheck(sigmoid_recurrence, example)

    def test_it_is_a_tanh_recurrence_in_other_clothes(self) -> None:
        # s = (1 + t) / 2 with t = tanh(a / 2), so torch's nn.RNN computes the same states from derived weights.
        gates, weight, first = self.example()
        rnn = nn.RNN(5, 5).double()
        with torch.no_grad():
            rnn.weight_ih_l0.copy_(torch.eye(5) / 2)
            rnn.weight_hh_l0.copy_(weight / 4)
            rnn.bias_ih_l0.copy_(weight.sum(1) / 4)
            rnn.bias_hh_l0.zero_()
        states, _ = rnn(gates, (2 * first - 1)[None])
        torch.testing.assert_close(sigmoid_recurrence(gates, weight, first), (1 + states) / 2, atol=1e-12, rtol=0)


class TestLaws(CausalLaws):
    shapes = ("class", "full", "adaptive", "nce")
    model = staticmethod(model)
    one_by_one = staticmethod(by_hand)

    def test_a_small_text_is_learned_by_heart(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        network = RnnlmNetwork(RnnlmConfig(VOCABULARY.size, hidden=128, classes=4))
        options = TrainingOptions(epochs=150, batch_tokens=1000, learning_rate=3e-2, validations=1, patience=0)
        check_learning_by_heart(NeuralLanguageModel("rnnlm", network, VOCABULARY, "as-is"), options, tmp_path, words=4)


class TestScores:
    @every_output
    def test_a_stream_in_pieces_is_the_stream_in_one(self, output: OutputKind) -> None:
        scorer, sentences = model(output), random_sentences(25)
        corpus = corpus_of(sentences)
        network = scorer.network.eval()
        (whole,) = StreamBatches(corpus, VOCABULARY, 1, 10_000).batches(0)
        with torch.no_grad():
            expected, last = network.loss(whole)
            total, state = 0.0, None
            for batch in StreamBatches(corpus, VOCABULARY, 1, 7).batches(0):
                loss, state = network.loss(batch, state)
                total += float(loss)
        assert total == pytest.approx(float(expected), rel=1e-5)
        torch.testing.assert_close(state[0], last[0], atol=1e-5, rtol=0)
        stream = scorer.stream()
        found = [values for at in range(0, 25, 4) for values in stream.token_log_probs(sentences[at : at + 4])]
        assert [len(values) for values in found] == [len(sentence) + 1 for sentence in sentences]
        assert -sum(values.sum() for values in found) == pytest.approx(float(expected), rel=1e-5)
        np.testing.assert_allclose(found[0], scorer.token_log_probs(sentences[:1])[0], atol=1e-4)


class TestNetwork:
    def test_dropout_is_for_training_only_and_leaves_units_in_the_middle(self) -> None:
        network = model().network
        inputs = torch.randint(VOCABULARY.size, (8, 30))
        hidden, _ = network.train()(inputs)
        assert (hidden == 0).float().mean().item() == pytest.approx(0.3, abs=0.06)
        once, again = (network.eval()(inputs)[0] for _ in range(2))
        assert torch.equal(once, again)
        assert (once != 0).all()


class TestFolder:
    def test_ranks_and_classes_are_whole_in_half_precision_and_no_free_parameters(self, tmp_path: Path) -> None:
        scorer = model()
        network = scorer.network
        assert isinstance(network, RnnlmNetwork)
        assert isinstance(network.output, ClassOutput)
        network.output.rank.data.copy_(torch.randperm(VOCABULARY.size))
        scorer.save(tmp_path, half=True)
        stored = load_file(tmp_path / WEIGHTS_FILE)
        assert stored["output.rank"].dtype == stored["output.edges"].dtype == torch.int64
        assert torch.equal(load_model(tmp_path).network.output.rank, network.output.rank)  # type: ignore[attr-defined]
        units, words, classes = CONFIG.hidden, VOCABULARY.size, CONFIG.classes
        assert scorer.parameters == units * (words + units + 1) + (units + 1) * (words + classes)

    def test_the_fingerprint_knows_the_classes(self) -> None:
        scorer = model()
        before = scorer.fingerprint()
        scorer.network.output.prepare(torch.arange(VOCABULARY.size))
        assert scorer.fingerprint() != before

    @pytest.mark.parametrize(
        ("name", "change", "complaint"),
        [
            ("output.rank", lambda t: t * 0, "output.rank: these ranks are no order of the tokens"),
            ("output.edges", lambda t: t + 1, "output.edges: these classes do not cut the tokens"),
            ("output.edges", lambda t: t.float(), "output.edges is float32"),
            ("output.rank", lambda t: t[1:], r"output.rank is \[14\], not \[15\]"),
        ],
    )
    def test_damaged_classes_are_refused(
        self, name: str, change: Callable[[Tensor], Tensor], complaint: str, tmp_path: Path
    ) -> None:
        model().save(tmp_path)
        tensors = load_file(tmp_path / WEIGHTS_FILE)
        save_file({**tensors, name: change(tensors[name]).contiguous()}, tmp_path / WEIGHTS_FILE)
        with pytest.raises(InputError, match=complaint):
            load_model(tmp_path)


class Killed(Exception):
    """What takes a process away without a word."""


class TestTraining:
    @every_output
    @pytest.mark.parametrize("context", ["stream", "sentence"])
    def test_a_killed_run_ends_where_an_unbroken_one_does(
        self, output: OutputKind, context: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        options = TrainingOptions(epochs=2, context=context, batch_tokens=60, bptt=6, validations=3, patience=0)  # type: ignore[arg-type]

        def train(folder: Path, killed_at: int = 0) -> RnnlmNetwork:
            torch.manual_seed(7)
            network = RnnlmNetwork(replace(CONFIG, output=output))
            corpus = corpus_of(random_sentences(60))
            network.prepare(torch.from_numpy(corpus.counts(VOCABULARY)))

            def report(progress: object) -> None:
                if getattr(progress, "step") == killed_at:  # noqa: B009
                    raise Killed

            sources = (
                (StreamBatches(corpus, VOCABULARY, 10, 6), StreamBatches(corpus, VOCABULARY, 2, 6))
                if context == "stream"
                else (SentenceBatches(corpus, VOCABULARY, 60, 1), SentenceBatches(corpus, VOCABULARY, 99, None))
            )
            train_network(network, *sources, options, folder, identity={}, report=report, checkpoint_seconds=0.0)
            return network

        expected = train(tmp_path / "unbroken")
        for step in (2, 7):
            with pytest.raises(Killed):
                train(tmp_path / "killed", step)
        found = train(tmp_path / "killed")
        for one, other in zip(found.parameters(), expected.parameters(), strict=True):
            assert torch.equal(one, other)

    @every_output
    def test_from_text_to_a_model_that_knows_its_words(self, output: OutputKind, tmp_path: Path) -> None:
        lines = ["b a b a c", "b a d", "b b"] * 10
        text = tmp_path / "text"
        text.write_text("\n".join(lines))
        options = TrainingOptions(
            epochs=30, context="stream", batch_tokens=40, bptt=4, learning_rate=2e-2, ema=0.5, average=2, patience=0
        )
        texts = TextOptions((text,), text, normalizer="as-is", vocabulary="words")
        sizes = RnnlmConfig(1, output=output, hidden=12, classes=3)
        trained, result = train_model("rnnlm", sizes, texts, options, tmp_path / "model")
        assert result.best_loss < 1.0  # the unigram's entropy is 1.4
        loaded = load_model(tmp_path / "model")
        assert loaded.fingerprint() == trained.fingerprint()
        if output in ("class", "adaptive"):
            rank = loaded.network.output.rank  # type: ignore[attr-defined]
            words = {word: int(rank[int(loaded.vocabulary.encode_batch([word])[0][0])]) for word in "abcd"}
            assert words["b"] == 0
            assert words["a"] < words["c"] < words["d"]
