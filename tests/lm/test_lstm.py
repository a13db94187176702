"""Laws of the LSTM language model: a distribution in every context, one result however it is computed."""

from __future__ import annotations

import itertools
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
    assert_close,
    check_learning_by_heart,
    corpus_of,
    random_sentences,
)
from torch import nn

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.loading import load_model
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.training.batches import StreamBatches
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.text.vocabulary import WordVocabulary

CONFIGS = {
    "one layer, tied": LstmConfig(VOCABULARY.size, embedding=10, hidden=10),
    "one layer": LstmConfig(VOCABULARY.size, embedding=6, hidden=10, tied=False),
    "two layers, tied": LstmConfig(VOCABULARY.size, embedding=8, hidden=8, layers=2, dropout=0.5),
    "three layers": LstmConfig(VOCABULARY.size, embedding=12, hidden=7, layers=3, dropout=0.3, tied=False),
}
every_shape = pytest.mark.parametrize("name", CONFIGS)


def model(name: str = "two layers, tied", seed: int = 1) -> NeuralLanguageModel:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = LstmNetwork(CONFIGS[name])
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    return NeuralLanguageModel("lstm", network, VOCABULARY, "as-is")


@torch.no_grad()
def one_by_one(scorer: NeuralLanguageModel, sentences: list[Tokens]) -> list[LogProbs]:
    """The usual way: ``nn.LSTM`` over each sentence alone, all logits, log-softmax, gather."""
    network = scorer.network
    assert isinstance(network, LstmNetwork)
    network.eval()
    results = []
    for sentence in sentences:
        inputs = torch.tensor([[BOS, *sentence.tolist()]])
        targets = torch.tensor([*sentence.tolist(), EOS])
        hidden, _ = network.lstm(network.embedding(inputs))
        logits = hidden[0] @ network.output.weight.T + network.output.bias
        results.append(torch.log_softmax(logits, dim=1)[torch.arange(len(targets)), targets].double().numpy())
    return results


class TestLaws(CausalLaws):
    shapes = CONFIGS
    model = staticmethod(model)
    one_by_one = staticmethod(one_by_one)

    def test_a_small_text_is_learned_by_heart(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        scorer = NeuralLanguageModel("lstm", LstmNetwork(LstmConfig(VOCABULARY.size, 96, 96)), VOCABULARY, "as-is")
        options = TrainingOptions(epochs=60, batch_tokens=280, learning_rate=2e-2, validations=2, patience=0)
        check_learning_by_heart(scorer, options, tmp_path)


class TestScores:
    def test_a_batch_on_the_whole_list_shares_what_is_common(self) -> None:
        sizes: list[int] = []
        scorer, sentences = model(), random_sentences(200)

        class Counting(LstmNetwork):
            def node_log_probs(self, tree: PrefixTree) -> torch.Tensor:
                sizes.append(len(tree))
                return super().node_log_probs(tree)

        scorer.network.__class__ = Counting
        scorer.token_log_probs(sentences)
        closed = {(*sentence.tolist(), EOS) for sentence in sentences}
        prefixes = {sentence[:end] for sentence in closed for end in range(1, len(sentence) + 1)}
        assert sizes == [len(prefixes)]
        assert sum(len(sentence) + 1 for sentence in sentences) > 2 * len(prefixes)

    def test_dropout_is_for_training_only(self) -> None:
        scorer, sentences = model("three layers"), random_sentences(10)
        expected = scorer.token_log_probs(sentences)
        scorer.network.train()
        assert_close(scorer.token_log_probs(sentences), expected, 0)
        plain = LstmNetwork(replace(CONFIGS["three layers"], dropout=0.0))
        plain.load_state_dict(scorer.network.state_dict())
        assert_close(NeuralLanguageModel("lstm", plain, VOCABULARY, "as-is").token_log_probs(sentences), expected, 0)


class TestNetwork:
    def test_dropout_acts_in_training_on_embedding_and_output(self) -> None:
        network = LstmNetwork(replace(CONFIGS["one layer, tied"], dropout=0.5)).train()
        hidden, _ = network(torch.randint(VOCABULARY.size, (8, 9)))
        assert (hidden == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)

    def test_recurrent_dropout_drops_weights_once_a_batch(self) -> None:
        config = LstmConfig(VOCABULARY.size, embedding=8, hidden=8, layers=2, recurrent_dropout=0.5)
        network, tokens = LstmNetwork(config).train(), torch.randint(VOCABULARY.size, (3, 9))
        torch.manual_seed(6)
        found, _ = network(tokens)
        assert not torch.equal(network(tokens)[0], found)  # others are dropped next time
        # A plain network with the weights that were left gives the same.
        torch.manual_seed(6)
        plain = LstmNetwork(replace(config, recurrent_dropout=0.0)).train()
        plain.load_state_dict(network.state_dict())
        torch.manual_seed(6)
        for layer in range(2):
            weight = plain.lstm.get_parameter(f"weight_hh_l{layer}")
            weight.data = network.recurrent_dropout(weight.data)
            assert float((weight == 0).float().mean()) == pytest.approx(0.5, abs=0.15)
        torch.testing.assert_close(plain(tokens)[0], found)
        found.sum().backward()
        gradient = network.lstm.get_parameter("weight_hh_l0").grad
        assert torch.equal(gradient == 0, plain.lstm.get_parameter("weight_hh_l0") == 0)
        assert torch.equal(network.eval()(tokens)[0], network(tokens)[0])

    @every_shape
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
        for found, wanted in zip(state, last, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
        log_probs = -network.output.nll(expected[0], whole.targets[0]).detach().double().numpy()
        stream = scorer.stream()
        found = [values for at in range(0, 25, 4) for values in stream.token_log_probs(sentences[at : at + 4])]
        assert [len(values) for values in found] == [len(sentence) + 1 for sentence in sentences]
        np.testing.assert_allclose(np.concatenate(found), log_probs, atol=1e-4)
        assert stream.token_log_probs([]) == []

    def test_a_stream_remembers_what_a_sentence_does_not(self) -> None:
        scorer, sentences = model(), random_sentences(3)
        alone, carried = scorer.token_log_probs(sentences), scorer.stream().token_log_probs(sentences)
        np.testing.assert_allclose(carried[0], alone[0], atol=1e-4)
        assert not np.allclose(carried[1][0], alone[1][0], atol=1e-3)

    @pytest.mark.parametrize(
        ("sizes", "complaint"),
        [
            ({"hidden": 0}, "field hidden: expected a whole number above 0, not 0"),
            ({"embedding": 2.5}, "field embedding: expected a whole number above 0, not 2.5"),
            ({"layers": True}, "field layers: expected a whole number above 0, not True"),
            ({"vocabulary_size": "9"}, "field vocabulary_size: expected a whole number above 0, not '9'"),
            ({"tied": 1}, "field tied: expected true or false, not 1"),
            ({"recurrent_dropout": -0.1}, "field recurrent_dropout: expected a share from 0 to less than 1, not -0.1"),
            ({"dropout": 1.0}, "field dropout: expected a share from 0 to less than 1, not 1.0"),
            ({"dropout": float("nan")}, "field dropout: expected a share"),
            ({"embedding": 5, "hidden": 6}, "tied embeddings need as many units as the embedding is wide, not 6 and 5"),
        ],
    )
    def test_sizes_that_make_no_network(self, sizes: dict[str, object], complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            LstmConfig(**{"vocabulary_size": 9, **sizes})  # type: ignore[arg-type]

    def test_a_vocabulary_of_another_size(self) -> None:
        network = LstmNetwork(LstmConfig(VOCABULARY.size + 1, 4, 4))
        with pytest.raises(InputError, match="the network has 16 outputs, the vocabulary 15 tokens"):
            NeuralLanguageModel("lstm", network, VOCABULARY, "as-is")


class TestFolder:
    def test_the_fingerprint_tells_weights_vocabulary_and_normaliser_apart(self) -> None:
        scorer = model()
        words = WordVocabulary([f"v{number}" for number in range(12)])
        others = [
            model(seed=2),
            model("one layer"),
            NeuralLanguageModel("lstm", scorer.network, words, "as-is"),
            NeuralLanguageModel("lstm", scorer.network, VOCABULARY, "unicode"),
        ]
        assert len({other.fingerprint() for other in [scorer, *others]}) == 5
        assert model().fingerprint() == scorer.fingerprint()

    def test_a_new_model_in_an_old_folder_is_the_new_one(self, tmp_path: Path) -> None:
        model("one layer").save(tmp_path)
        model("three layers").save(tmp_path)
        assert load_model(tmp_path).fingerprint() == model("three layers").fingerprint()


class SmallMemory(LstmNetwork):
    """A network on a device that holds trees of at most ``most`` nodes."""

    most = 10**9
    tried: list[int]

    def node_log_probs(self, tree: PrefixTree) -> torch.Tensor:
        self.tried.append(len(tree))
        if len(tree) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().node_log_probs(tree)


class TestOutOfMemory:
    @pytest.fixture
    def scorer(self) -> NeuralLanguageModel:
        scorer = model()
        scorer.network.__class__ = SmallMemory
        scorer.network.tried = []
        return scorer

    @pytest.mark.parametrize("most", [250, 40, 17])
    def test_the_budget_is_halved_until_it_fits_and_the_result_is_the_same(
        self, scorer: NeuralLanguageModel, most: int
    ) -> None:
        sentences = random_sentences(100)
        expected = scorer.token_log_probs(sentences)
        (nodes,) = scorer.network.tried
        scorer.network.tried, scorer.network.most = [], most
        assert_close(scorer.token_log_probs(sentences), expected)
        failed = [size for size in scorer.network.tried if size > most]
        # No more failures than it takes to come from all nodes below the memory by halves.
        assert 1 <= len(failed) <= np.ceil(np.log2(nodes / most))
        assert all(later <= earlier / 2 for earlier, later in itertools.pairwise(failed))
        assert sum(scorer.network.tried) - sum(failed) < 3 * nodes

    def test_it_stays_halved_for_the_rest_of_the_run(self, scorer: NeuralLanguageModel) -> None:
        scorer.network.most = 100
        scorer.token_log_probs(random_sentences(200))
        scorer.network.tried = []
        for seed in range(1, 4):
            sentences = random_sentences(80, seed)
            assert_close(scorer.token_log_probs(sentences), one_by_one(scorer, sentences))
        assert max(scorer.network.tried) <= 100

    def test_a_smaller_budget_asked_for_is_kept(self, scorer: NeuralLanguageModel) -> None:
        scorer.network.most = 100
        scorer.token_log_probs(random_sentences(200))
        scorer.network.tried = []
        scorer.token_log_probs(random_sentences(200), budget=30)
        assert max(scorer.network.tried) <= 30

    def test_a_sentence_that_does_not_fit_is_told_and_gets_no_score(self, scorer: NeuralLanguageModel) -> None:
        scorer.network.most = 50
        sentences = [*random_sentences(50), np.full(80, 5, dtype=np.int32)]
        with pytest.raises(InputError, match="a sentence of 81 tokens does not fit into the GPU's memory"):
            scorer.token_log_probs(sentences)
