"""Laws of the LSTM language model: a distribution in every context, one result however it is computed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm import load
from asr_lm.lm.batches import IGNORED, SentenceBatches, StreamBatches
from asr_lm.lm.corpus import TokenCorpus
from asr_lm.lm.lstm import LstmConfig, LstmNetwork
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.options import TrainingOptions
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.training import train_network
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(12)])
BOS, EOS = VOCABULARY.bos_id, VOCABULARY.eos_id

CONFIGS = {
    "one layer, tied": LstmConfig(VOCABULARY.size, embedding=10, hidden=10),
    "one layer": LstmConfig(VOCABULARY.size, embedding=6, hidden=10, tied=False),
    "two layers, tied": LstmConfig(VOCABULARY.size, embedding=8, hidden=8, layers=2, dropout=0.5),
    "three layers": LstmConfig(VOCABULARY.size, embedding=12, hidden=7, layers=3, dropout=0.3, tied=False),
}
every_shape = pytest.mark.parametrize("name", CONFIGS)

sentences_of_ids = st.lists(st.lists(st.sampled_from([0, 3, 4, 5]), max_size=8), min_size=1, max_size=20)


def model(name: str = "two layers, tied", seed: int = 1) -> NeuralLanguageModel:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = LstmNetwork(CONFIGS[name])
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    return NeuralLanguageModel("lstm", network, VOCABULARY, "as-is")


def arrays(sentences: list[list[int]]) -> list[Tokens]:
    return [np.array(sentence, dtype=np.int32) for sentence in sentences]


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


def assert_close(found: list[LogProbs], expected: list[LogProbs], tolerance: float = 1e-4) -> None:
    assert [len(values) for values in found] == [len(values) for values in expected]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=tolerance, rtol=0)


def random_sentences(count: int, seed: int = 0) -> list[Tokens]:
    """Sentences that share beginnings, as hypotheses do."""
    random = np.random.default_rng(seed)
    stems = [random.integers(3, 15, size=random.integers(0, 12)) for _ in range(max(count // 8, 1))]
    return [
        np.concatenate([stems[random.integers(len(stems))], random.integers(3, 15, size=random.integers(0, 5))]).astype(
            np.int32
        )
        for _ in range(count)
    ]


class TestScores:
    @every_shape
    @pytest.mark.parametrize("context", [[], [3], [5, 5, 0, 14], [4, 7, 9] * 10])
    def test_probabilities_sum_to_one_in_every_context(self, name: str, context: list[int]) -> None:
        others = [token for token in range(VOCABULARY.size) if token != EOS]
        scores = model(name).token_log_probs(arrays([[*context, token] for token in others] + [context]))
        log_probs = [values[len(context)] for values in scores]
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)
        assert len({round(value, 6) for value in log_probs}) == VOCABULARY.size

    @every_shape
    @settings(max_examples=15)
    @given(sentences=sentences_of_ids)
    def test_the_tree_gives_what_each_sentence_alone_gives(self, name: str, sentences: list[list[int]]) -> None:
        scorer = model(name)
        assert_close(scorer.token_log_probs(arrays(sentences)), one_by_one(scorer, arrays(sentences)))

    def test_a_hundred_tokens_are_as_exact_as_one(self) -> None:
        scorer, sentences = model(), [np.arange(200, dtype=np.int32) * 7 % 12 + 3]
        assert_close(scorer.token_log_probs(sentences), one_by_one(scorer, sentences))

    @every_shape
    def test_the_budget_changes_nothing(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(25)
        expected = one_by_one(scorer, sentences)
        for budget in (1, 3, 20, 60, 1000, None):
            assert_close(scorer.token_log_probs(sentences, budget), expected)

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

    def test_order_duplicates_and_company_change_nothing(self) -> None:
        scorer, sentences = model(), random_sentences(40)
        expected = scorer.token_log_probs(sentences)
        shuffled = np.random.default_rng(1).permutation(len(sentences)).tolist()
        assert_close(scorer.token_log_probs([sentences[i] for i in shuffled]), [expected[i] for i in shuffled], 1e-5)
        assert_close(scorer.token_log_probs(sentences * 3), expected * 3, 1e-5)
        assert_close([scorer.token_log_probs([sentence])[0] for sentence in sentences], expected, 1e-5)

    def test_sentence_scores_are_the_sums(self) -> None:
        scorer, sentences = model(), random_sentences(20)
        expected = [values.sum() for values in one_by_one(scorer, sentences)]
        np.testing.assert_allclose(scorer.score(sentences), expected, atol=1e-3)

    def test_no_sentences_and_empty_ones(self) -> None:
        scorer = model()
        assert scorer.token_log_probs([]) == []
        assert scorer.score([]).shape == (0,)
        empty = np.zeros(0, dtype=np.int32)
        assert_close(scorer.token_log_probs([empty, empty]), one_by_one(scorer, [empty]) * 2)

    def test_dropout_is_for_training_only(self) -> None:
        scorer, sentences = model("three layers"), random_sentences(10)
        expected = scorer.token_log_probs(sentences)
        scorer.network.train()
        assert_close(scorer.token_log_probs(sentences), expected, 0)
        plain = LstmNetwork(replace(CONFIGS["three layers"], dropout=0.0))
        plain.load_state_dict(scorer.network.state_dict())
        assert_close(NeuralLanguageModel("lstm", plain, VOCABULARY, "as-is").token_log_probs(sentences), expected, 0)


class TestNetwork:
    @every_shape
    def test_gradients_reach_every_parameter(self, name: str) -> None:
        network = LstmNetwork(CONFIGS[name]).train()
        inputs = torch.randint(VOCABULARY.size, (4, 9))
        hidden, _ = network(inputs)
        network.output.nll(hidden.flatten(0, 1), torch.randint(VOCABULARY.size, (36,))).sum().backward()
        for parameter_name, parameter in network.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
            assert parameter.grad.any(), parameter_name

    def test_dropout_acts_in_training_on_embedding_and_output(self) -> None:
        network = LstmNetwork(replace(CONFIGS["one layer, tied"], dropout=0.5)).train()
        hidden, _ = network(torch.randint(VOCABULARY.size, (8, 9)))
        assert (hidden == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)

    def test_padding_of_a_batch_changes_nothing(self) -> None:
        scorer, sentences = model("three layers"), random_sentences(30)
        lengths = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
        corpus = TokenCorpus(np.concatenate(sentences), lengths, 0, 0, "")
        expected = {tuple(s.tolist()): v for s, v in zip(sentences, one_by_one(scorer, sentences), strict=True)}
        network = scorer.network.eval()
        padded = 0
        for batch in SentenceBatches(corpus, VOCABULARY, 200, None).batches(0):
            with torch.no_grad():
                hidden, _ = network(batch.inputs)
                log_probs = -network.output.nll(hidden.flatten(0, 1), batch.targets.clamp(min=0).flatten())
            for row, targets in zip(log_probs.view(batch.targets.shape), batch.targets, strict=True):
                kept = targets != IGNORED
                padded += int((~kept).sum())
                sentence = tuple(targets[kept][:-1].tolist())
                np.testing.assert_allclose(row[kept].double().numpy(), expected[sentence], atol=1e-4)
        assert padded > 30

    @every_shape
    def test_a_stream_in_pieces_is_the_stream_in_one(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(25)
        network = scorer.network.eval()
        offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
        corpus = TokenCorpus(np.concatenate(sentences), offsets, 0, 0, "")
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
    @every_shape
    def test_saving_and_loading_changes_nothing(self, name: str, tmp_path: Path) -> None:
        scorer, sentences = model(name), random_sentences(20)
        scorer.save(tmp_path / "model")
        loaded = load(tmp_path / "model")
        assert isinstance(loaded, NeuralLanguageModel)
        assert loaded.network.config == scorer.network.config
        assert (loaded.family, loaded.normalizer, loaded.parameters) == ("lstm", "as-is", scorer.parameters)
        assert loaded.fingerprint() == scorer.fingerprint()
        assert_close(loaded.token_log_probs(sentences), scorer.token_log_probs(sentences), 0)
        tied = loaded.network.output.weight is loaded.network.embedding.weight
        assert tied == scorer.network.config.tied

    def test_half_precision_is_half_the_size_and_close(self, tmp_path: Path) -> None:
        scorer, sentences = model("three layers"), random_sentences(20)
        scorer.save(tmp_path / "whole")
        scorer.save(tmp_path / "half", half=True)
        sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
        assert sizes[1] < 0.6 * sizes[0]
        loaded = load(tmp_path / "half")
        assert all(parameter.dtype == torch.float32 for parameter in loaded.network.parameters())
        assert_close(loaded.token_log_probs(sentences), scorer.token_log_probs(sentences), 2e-2)
        assert loaded.fingerprint() != scorer.fingerprint()

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
        assert load(tmp_path).fingerprint() == model("three layers").fingerprint()


def test_a_small_text_is_learned_by_heart(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sentences = [" ".join(f"w{word}" for word in random.integers(12, size=6)) for _ in range(200)]
    corpus = TokenCorpus.from_sentences(sentences, VOCABULARY)
    torch.manual_seed(1)
    network = LstmNetwork(LstmConfig(VOCABULARY.size, embedding=96, hidden=96))
    options = TrainingOptions(epochs=60, batch_tokens=280, learning_rate=2e-2, validations=2, patience=0)
    valid = SentenceBatches(corpus, VOCABULARY, 2000, None)
    result = train_network(network, SentenceBatches(corpus, VOCABULARY, 280, 1), valid, options, tmp_path, identity={})
    # Without knowing the text 6 of 7 tokens cost log 12 nats; to name one of 200 sentences takes log 200.
    ignorance, memory = 6 / 7 * np.log(12), np.log(200) / 7
    assert memory < result.best_loss < memory + 0.1 * (ignorance - memory)
    text = NeuralLanguageModel("lstm", network, VOCABULARY, "as-is")
    scores = text.score(VOCABULARY.encode_batch(sentences))
    assert -scores.sum() / (7 * 200) == pytest.approx(result.best_loss, abs=1e-4)


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
