"""Laws of the GRU language model: a distribution in every context, one result however it is computed."""

from __future__ import annotations

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
from torch import nn

from asr_lm.errors import InputError
from asr_lm.lm.families.gru import GruConfig
from asr_lm.lm.families.gru.network import GruNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.training.batches import StreamBatches
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult

CONFIGS = {
    "one layer, tied": GruConfig(VOCABULARY.size, embedding=10, hidden=10),
    "one layer": GruConfig(VOCABULARY.size, embedding=6, hidden=10, tied=False),
    "two layers, tied": GruConfig(VOCABULARY.size, embedding=8, hidden=8, layers=2, dropout=0.5),
    "three layers": GruConfig(VOCABULARY.size, embedding=12, hidden=7, layers=3, dropout=0.3, tied=False),
}


def model(name: str = "two layers, tied", seed: int = 1) -> NeuralLanguageModel:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = GruNetwork(CONFIGS[name])
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    return NeuralLanguageModel("gru", network, VOCABULARY, "as-is")


@torch.no_grad()
def one_by_one(scorer: NeuralLanguageModel, sentences: list[Tokens]) -> list[LogProbs]:
    """The equations of Cho et al., one token after the other, then all logits and their log-softmax."""
    network = scorer.network
    assert isinstance(network, GruNetwork)
    results = []
    for sentence in sentences:
        targets = torch.tensor([*sentence.tolist(), EOS])
        states = [torch.zeros(network.config.hidden) for _ in range(network.config.layers)]
        log_probs = []
        for token, target in zip([BOS, *sentence.tolist()], targets, strict=True):
            read = network.embedding.weight[token]
            for layer, state in enumerate(states):
                read = states[layer] = unit(network.gru, layer, read, state)
            logits = network.output.weight @ read + network.output.bias
            log_probs.append(torch.log_softmax(logits, dim=0)[target].item())
        results.append(np.array(log_probs))
    return results


def unit(gru: nn.GRU, layer: int, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """One unit of ``torch.nn.GRU``: its weights hold reset gate, update gate and candidate one below the other."""
    of_input = (getattr(gru, f"weight_ih_l{layer}") @ x + getattr(gru, f"bias_ih_l{layer}")).chunk(3)
    of_state = (getattr(gru, f"weight_hh_l{layer}") @ h + getattr(gru, f"bias_hh_l{layer}")).chunk(3)
    reset, update = torch.sigmoid(of_input[0] + of_state[0]), torch.sigmoid(of_input[1] + of_state[1])
    return update * h + (1 - update) * torch.tanh(of_input[2] + reset * of_state[2])


class TestLaws(CausalLaws):
    shapes = CONFIGS
    model = staticmethod(model)
    one_by_one = staticmethod(one_by_one)

    def test_a_small_text_is_learned_by_heart(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        scorer = NeuralLanguageModel("gru", GruNetwork(GruConfig(VOCABULARY.size, 96, 96)), VOCABULARY, "as-is")
        options = TrainingOptions(epochs=60, batch_tokens=280, learning_rate=2e-2, validations=2, patience=0)
        check_learning_by_heart(scorer, options, tmp_path)


class TestNetwork:
    @pytest.mark.parametrize("name", CONFIGS)
    def test_a_stream_in_pieces_is_the_stream_in_one(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(25)
        network = scorer.network.eval()
        corpus = corpus_of(sentences)
        (whole,) = StreamBatches(corpus, VOCABULARY, 1, 10_000).batches(0)
        with torch.no_grad():
            expected, last = network(whole.inputs)
            state, pieces = None, []
            for batch in StreamBatches(corpus, VOCABULARY, 1, 7).batches(0):
                hidden, state = network(batch.inputs, state)
                pieces.append(hidden)
        torch.testing.assert_close(torch.cat(pieces, dim=1), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(state[0], last[0], atol=1e-5, rtol=0)
        log_probs = -network.output.nll(expected[0], whole.targets[0]).detach().double().numpy()
        stream = scorer.stream()
        found = [values for at in range(0, 25, 4) for values in stream.token_log_probs(sentences[at : at + 4])]
        np.testing.assert_allclose(np.concatenate(found), log_probs, atol=1e-4)

    def test_a_stream_remembers_what_a_sentence_does_not(self) -> None:
        scorer, sentences = model(), random_sentences(3)
        alone, carried = scorer.token_log_probs(sentences), scorer.stream().token_log_probs(sentences)
        np.testing.assert_allclose(carried[0], alone[0], atol=1e-4)
        assert not np.allclose(carried[1][0], alone[1][0], atol=1e-3)

    def test_sizes_that_make_no_network(self) -> None:
        with pytest.raises(InputError, match="tied embeddings need as many units as the embedding is wide"):
            GruConfig(9, embedding=5, hidden=6)
        with pytest.raises(InputError, match="the output 'adaptive' cannot be tied to the embedding"):
            GruConfig(9, output="adaptive")


class TestTraining:
    """On a stream, with the state carried over."""

    options = TrainingOptions(context="stream", epochs=2, batch_tokens=40, bptt=10, validations=2, patience=0)

    def train(self, folder: Path, stop: int = 0) -> tuple[GruNetwork, TrainingResult]:
        torch.manual_seed(3)
        network, corpus = GruNetwork(CONFIGS["two layers, tied"]), corpus_of(random_sentences(60))

        def report(progress: TrainingProgress) -> None:
            if progress.step == stop:
                raise KeyboardInterrupt

        batches = [StreamBatches(corpus, VOCABULARY, 4, 10) for _ in range(2)]
        result = train_network(network, *batches, self.options, folder, identity={}, report=report)
        return network, result

    def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(self, tmp_path: Path) -> None:
        whole, expected = self.train(tmp_path / "whole")
        assert expected.steps > 9
        with pytest.raises(KeyboardInterrupt):
            self.train(tmp_path / "stopped", stop=7)
        resumed, result = self.train(tmp_path / "stopped")
        assert (result.steps, result.best_loss) == (expected.steps, expected.best_loss)
        for name, weight in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], weight), name
