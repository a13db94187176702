"""Laws of the feed-forward language model: the paper's equation, a distribution in every context, one result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from causal_laws import (
    BOS,
    EOS,
    VOCABULARY,
    CausalLaws,
    arrays,
    assert_close,
    check_learning_by_heart,
    corpus_of,
    random_sentences,
    sentences_of_ids,
)
from hypothesis import given
from torch import nn

from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.families.nnlm import network as nnlm
from asr_lm.lm.families.nnlm.network import NnlmNetwork, distinct_contexts
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.training.batches import IGNORED, Batch, StreamBatches
from asr_lm.lm.training.options import TextOptions, TrainingOptions
from asr_lm.lm.training.recipe import train_model

CONFIGS = {
    "paper": NnlmConfig(VOCABULARY.size, order=4, embedding=3, hidden=5, tied=False),
    "paper, direct": NnlmConfig(VOCABULARY.size, order=4, embedding=3, hidden=5, direct=True, tied=False),
    "bigram": NnlmConfig(VOCABULARY.size, order=2, embedding=6, hidden=6),
    "tied": NnlmConfig(VOCABULARY.size, order=5, embedding=4, hidden=9, dropout=0.5),
    "tied, direct": NnlmConfig(VOCABULARY.size, order=3, embedding=5, hidden=4, direct=True, dropout=0.3),
}
every_shape = pytest.mark.parametrize("name", CONFIGS)


def model(name: str = "tied", seed: int = 1) -> NeuralLanguageModel:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = NnlmNetwork(CONFIGS[name])
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    return NeuralLanguageModel("nnlm", network, VOCABULARY, "as-is")


def network_of(scorer: NeuralLanguageModel) -> NnlmNetwork:
    assert isinstance(scorer.network, NnlmNetwork)
    return scorer.network


def equation(network: NnlmNetwork, words: list[int]) -> LogProbs:
    """Equation 1 of the paper in numpy ``[vocabulary]``: the log-probabilities after ``words``, the oldest first."""
    weight = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    C, H, d = weight["embedding.weight"], weight["tanh_layer.weight"], weight["tanh_layer.bias"]
    x = np.concatenate([C[word] for word in words])
    tanh = np.tanh(d + H @ x)
    features = np.concatenate([tanh, x]) if network.config.direct else tanh
    if "projection.weight" in weight:
        features = weight["projection.weight"] @ features
    output = C if network.config.tied else weight["output.weight"]
    y = weight["output.bias"] + output @ features
    return y - np.log(np.exp(y).sum())


def one_by_one(scorer: NeuralLanguageModel, sentences: list[Tokens]) -> list[LogProbs]:
    """The equation, word by word."""
    network = network_of(scorer)
    length = network.config.order - 1
    results = []
    for sentence in sentences:
        tokens = [BOS] * length + sentence.tolist() + [EOS]
        values = [equation(network, tokens[at - length : at])[tokens[at]] for at in range(length, len(tokens))]
        results.append(np.array(values))
    return results


class TestEquation:
    """Two words before (the older first), embeddings of width 1, two tanh units, a vocabulary of three."""

    @pytest.mark.parametrize("direct", [False, True])
    def test_the_example_worked_by_hand(self, direct: bool) -> None:
        network = NnlmNetwork(NnlmConfig(3, order=3, embedding=1, hidden=2, direct=direct, tied=False))
        weights: dict[str, list[Any]] = {
            "embedding.weight": [[0.5], [-1.0], [2.0]],
            "tanh_layer.weight": [[1.0, 0.5], [0.0, -1.0]],
            "tanh_layer.bias": [0.25, 1.0],
            "output.bias": [0.1, 0.2, 0.3],
            "output.weight": [[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, -1.0], [1.0, 1.0, 0.5, 0.5]],
        }
        if not direct:
            weights["output.weight"] = [row[:2] for row in weights["output.weight"]]
        network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        # x = (C(1), C(2)) = (-1, 2); d + H x = (0.25 - 1 + 1, 1 - 2) = (0.25, -1)
        a, b = np.tanh(0.25), np.tanh(-1.0)
        y = np.array([0.1 + a, 0.2 + b, 0.3 + a + b])
        if direct:
            y += np.array([2.0 * -1.0, -1.0 * 2.0, 0.5 * -1.0 + 0.5 * 2.0])
        expected = y - np.log(np.exp(y).sum())
        hidden, _ = network.eval()(torch.tensor([[1, 2]]))
        found = -network.output.nll(hidden[0, 1].expand(3, -1), torch.arange(3)).detach().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(equation(network, [1, 2]), expected, atol=1e-6)

    @every_shape
    def test_the_network_is_the_equation(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(15)
        expected = one_by_one(scorer, sentences)
        for sentence, values in zip(sentences, expected, strict=True):
            inputs, targets = torch.tensor([[BOS, *sentence.tolist()]]), torch.tensor([*sentence.tolist(), EOS])
            hidden, _ = scorer.network.eval()(inputs)
            found = -scorer.network.output.nll(hidden[0], targets).detach().numpy()
            np.testing.assert_allclose(found, values, atol=1e-5)

    @pytest.mark.parametrize(("name", "order"), [("bigram", 2), ("tied, direct", 3), ("paper", 4), ("tied", 5)])
    def test_words_further_back_than_the_order_have_no_influence(self, name: str, order: int) -> None:
        scorer = model(name)
        words = [3, 4, 5, 6, 7, 8, 9, 10]
        (expected,) = scorer.token_log_probs(arrays([words]))
        for changed in range(len(words)):
            other = [*words[:changed], 14, *words[changed + 1 :]]
            (found,) = scorer.token_log_probs(arrays([other]))
            differs = np.abs(found - expected) > 1e-4
            assert np.flatnonzero(differs).tolist() == list(range(changed, min(changed + order, len(words) + 1)))


class TestLaws(CausalLaws):
    shapes = CONFIGS
    model = staticmethod(model)
    one_by_one = staticmethod(one_by_one)

    @pytest.mark.parametrize("direct", [False, True])
    def test_a_small_text_is_learned_by_heart(self, direct: bool, tmp_path: Path) -> None:
        torch.manual_seed(1)
        network = NnlmNetwork(NnlmConfig(VOCABULARY.size, order=7, embedding=16, hidden=300, direct=direct, tied=False))
        options = TrainingOptions(epochs=40, batch_tokens=280, learning_rate=3e-2, validations=1, patience=0)
        check_learning_by_heart(NeuralLanguageModel("nnlm", network, VOCABULARY, "as-is"), options, tmp_path)


class TestScores:
    @pytest.mark.parametrize("block", [1, 2, 7, 50])
    def test_the_size_of_a_block_changes_nothing(self, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer, sentences = model(), random_sentences(25)
        expected = one_by_one(scorer, sentences)
        monkeypatch.setattr(nnlm, "_BLOCK_CONTEXTS", block)
        assert_close(scorer.token_log_probs(sentences), expected)

    @pytest.mark.parametrize("output", ["class", "adaptive", "nce"])
    def test_other_outputs_give_a_distribution_too(self, output: str) -> None:
        config = replace(CONFIGS["paper, direct"], output=output, classes=4)  # type: ignore[arg-type]
        torch.manual_seed(1)
        network = NnlmNetwork(config)
        network.prepare(torch.arange(VOCABULARY.size).flip(0) + 1)
        scorer = NeuralLanguageModel("nnlm", network, VOCABULARY, "as-is")
        others = [token for token in range(VOCABULARY.size) if token != EOS]
        scores = scorer.token_log_probs(arrays([[4, 5, token] for token in others] + [[4, 5]]))
        assert np.exp([values[2] for values in scores]).sum() == pytest.approx(1, abs=1e-5)
        stream = scorer.stream().token_log_probs(arrays([[4, 5, 6]]))
        assert_close(stream, scorer.token_log_probs(arrays([[4, 5, 6]])))


class TestContexts:
    @pytest.mark.parametrize("length", [1, 2, 5])
    @given(sentences=sentences_of_ids)
    def test_every_node_gets_its_ancestors_and_every_context_is_there_once(
        self, length: int, sentences: list[list[int]]
    ) -> None:
        tree = PrefixTree.build(arrays([[*sentence, EOS] for sentence in sentences]), BOS)
        contexts, context = distinct_contexts(tree, length)
        assert len({tuple(row) for row in contexts.tolist()}) == len(contexts)
        assert set(context[1:].tolist()) == set(range(len(contexts)))
        assert context[0] == -1
        for node in range(1, len(tree.token)):
            ancestors, at = [], int(tree.parent[node])
            while at >= 0:
                ancestors.append(int(tree.token[at]))
                at = int(tree.parent[at])
            expected = [*[BOS] * length, *reversed(ancestors)][-length:]
            assert contexts[context[node]].tolist() == expected

    def test_numbers_of_rows_do_not_overflow(self) -> None:
        tree = PrefixTree.build(arrays([[2**31 - 1 - shift, *range(9), EOS] for shift in range(300)]), BOS)
        contexts, context = distinct_contexts(tree, 8)
        assert len({tuple(row) for row in contexts.tolist()}) == len(contexts)
        assert len(contexts) == 1 + 300 * 8 + 2  # the beginning; those with the first token still in view; the rest
        last = tree.path[tree.offsets[1:] - 1]
        assert {tuple(row) for row in contexts[context[last]].tolist()} == {(1, 2, 3, 4, 5, 6, 7, 8)}

    def test_a_context_is_computed_once_wherever_it_stands(self) -> None:
        scorer, computed = model("tied, direct"), []
        network = network_of(scorer)
        network.tanh_layer.register_forward_hook(lambda module, inputs, outputs: computed.append(len(outputs)))
        sentences = arrays([[token, 5, 6, 5, 6, 5, 6, 5, 6] for token in range(3, 15)])
        scorer.token_log_probs(sentences)
        # <s> <s> | <s> x | x 5 | 5 6 | 6 5, where x is one of twelve words, among them 5 and 6: "6 5" is there already.
        assert sum(computed) == 1 + 12 + 12 + 1


class TestNetwork:
    @every_shape
    def test_before_training_the_words_are_as_likely_as_in_the_text(self, name: str) -> None:
        network = NnlmNetwork(CONFIGS[name])
        counts = torch.arange(VOCABULARY.size) ** 3
        network.prepare(counts)
        scorer = NeuralLanguageModel("nnlm", network.eval(), VOCABULARY, "as-is")
        words = arrays([[token] for token in range(VOCABULARY.size) if token != EOS] + [[]])
        found = np.array([values[0] for values in scorer.token_log_probs(words)])
        expected = np.log(np.delete(counts.numpy(), EOS).clip(1) / counts.clamp(min=1).sum().item())
        np.testing.assert_allclose(found[:-1], expected, atol=0.3)
        assert found[:-1].min() < -7

    @pytest.mark.parametrize(
        ("sizes", "complaint"),
        [
            ({"order": 1}, "field order: expected at least 2"),
            ({"hidden": 0}, "field hidden: expected a whole number above 0, not 0"),
            ({"direct": 1}, "field direct: expected true or false, not 1"),
            ({"output": "class"}, "field tied: the output 'class' cannot be tied"),
            ({"output": "adaptive"}, "field tied: the output 'adaptive' cannot be tied"),
        ],
    )
    def test_sizes_that_make_no_network(self, sizes: dict[str, object], complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            NnlmConfig(**{"vocabulary_size": 9, **sizes})  # type: ignore[arg-type]


def _other_padding(batch: Batch) -> torch.Tensor:
    """The inputs with another token wherever a target does not count."""
    return torch.where(batch.targets == IGNORED, 7, batch.inputs)


class TestStream:
    @every_shape
    def test_a_stream_in_pieces_is_one_long_text(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(25)
        network = network_of(scorer).eval()
        corpus = corpus_of(sentences)
        (whole,) = StreamBatches(corpus, VOCABULARY, 1, 10_000).batches(0)
        length = network.config.order - 1
        read = [BOS] * (length - 1) + whole.inputs[0].tolist()
        expected = [
            equation(network, read[at : at + length])[target] for at, target in enumerate(whole.targets[0].tolist())
        ]
        for steps in (1, 2, 7, 10_000):
            state, pieces = None, []
            for batch in StreamBatches(corpus, VOCABULARY, 1, steps).batches(0):
                hidden, state = network(batch.inputs, state)
                pieces.append(-network.output.nll(hidden[0], batch.targets[0]).detach().numpy())
            np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-4)
        stream = scorer.stream()
        found = [values for at in range(0, 25, 4) for values in stream.token_log_probs(sentences[at : at + 4])]
        assert [len(values) for values in found] == [len(sentence) + 1 for sentence in sentences]
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)

    def test_parallel_streams_carry_a_state_each(self) -> None:
        network, corpus = network_of(model()).eval(), corpus_of(random_sentences(40))
        (whole,) = StreamBatches(corpus, VOCABULARY, 3, 10_000).batches(0)
        expected = network.loss(whole)[0].item()
        total, state = 0.0, None
        for batch in StreamBatches(corpus, VOCABULARY, 3, 5).batches(0):
            loss, state = network.loss(batch, state)
            assert state is not None
            assert [tuple(tensor.shape) for tensor in state] == [(1, 3, network.config.order - 1)]
            total += loss.item()
        assert total == pytest.approx(expected, rel=1e-5)

    def test_a_stream_remembers_what_a_sentence_does_not(self) -> None:
        scorer, sentences = model(), random_sentences(3)
        alone, carried = scorer.token_log_probs(sentences), scorer.stream().token_log_probs(sentences)
        np.testing.assert_allclose(carried[0], alone[0], atol=1e-4)
        assert not np.allclose(carried[1][0], alone[1][0], atol=1e-3)

    def test_perplexity_of_a_stream_is_the_loss_of_training_on_it(self, tmp_path: Path) -> None:
        lines = [" ".join(f"w{word - 3}" for word in sentence) for sentence in random_sentences(40) if len(sentence)]
        (tmp_path / "text").write_text("\n".join(lines))
        text = TextOptions((tmp_path / "text",), tmp_path / "text", normalizer="as-is", vocabulary="words")
        options = TrainingOptions(5, "stream", batch_tokens=30, bptt=30, learning_rate=0.03, validations=1)
        sizes = NnlmConfig(1, order=4, embedding=8, hidden=8)
        trained, result = train_model("nnlm", sizes, text, options, tmp_path / "out")
        measured = [measure([trained], lines, carry_state=carry)[0].per_token for carry in (True, False)]
        assert np.log(measured[0]) == pytest.approx(result.best_loss, abs=1e-5)
        assert abs(np.log(measured[1]) - result.best_loss) > 1e-4
