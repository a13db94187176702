"""Laws of the bidirectional LSTM: no word predicts itself, both directions are equal, one result however computed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.hypotheses.prefix_tree import PrefixTree
from asr_lm.lm.families.bilstm import BilstmConfig
from asr_lm.lm.families.bilstm.network import BidirectionalModel, BilstmNetwork
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.loading import load_model
from asr_lm.lm.mixtures.linear import validation_log_probs
from asr_lm.lm.mixtures.members import Member
from asr_lm.lm.neural import NeuralLanguageModel, State
from asr_lm.lm.protocol import LogProbs, Tokens
from asr_lm.lm.training.batches import IGNORED, Batch, SentenceBatches
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import TextOptions, TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress
from asr_lm.lm.training.recipe import train_model
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(12)])
BOS, EOS = VOCABULARY.bos_id, VOCABULARY.eos_id

JOINT = {
    "joint, one layer": BilstmConfig(VOCABULARY.size, embedding=10, hidden=10),
    "joint, two layers": BilstmConfig(VOCABULARY.size, embedding=8, hidden=8, layers=2, dropout=0.5),
    "joint, three layers, untied": BilstmConfig(VOCABULARY.size, embedding=12, hidden=7, layers=3, tied=False),
}
SUM = {
    "sum, one layer": BilstmConfig(VOCABULARY.size, embedding=9, hidden=9, combine="sum"),
    "sum, two layers, untied": BilstmConfig(VOCABULARY.size, 6, 8, layers=2, dropout=0.3, tied=False, combine="sum"),
}
CONFIGS = {**JOINT, **SUM}
every_shape = pytest.mark.parametrize("name", CONFIGS)
every_joint = pytest.mark.parametrize("name", JOINT)
every_sum = pytest.mark.parametrize("name", SUM)

sentences_of_ids = st.lists(st.lists(st.sampled_from([0, 3, 4, 5]), max_size=7), min_size=1, max_size=12)


def model(name: str, seed: int = 1) -> BidirectionalModel:
    """A model whose weights are large enough for contexts to matter."""
    torch.manual_seed(seed)
    network = BilstmNetwork(CONFIGS[name])
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    return BidirectionalModel("bilstm", network, VOCABULARY, "as-is")


def arrays(sentences: list[list[int]]) -> list[Tokens]:
    return [np.array(sentence, dtype=np.int32) for sentence in sentences]


def random_sentences(count: int, seed: int = 0) -> list[Tokens]:
    """Sentences that differ by a word or two, as hypotheses do; some are empty."""
    random = np.random.default_rng(seed)
    stems = [random.integers(3, 15, size=random.integers(0, 10)) for _ in range(max(count // 8, 1))]
    sentences = []
    for _ in range(count):
        sentence = stems[random.integers(len(stems))].copy()
        if len(sentence):
            sentence[random.integers(len(sentence))] = random.integers(3, 15)
        sentences.append(np.append(sentence, random.integers(3, 15, size=random.integers(0, 2))).astype(np.int32))
    return sentences


def last(network: LstmNetwork, words: list[int]) -> Tensor:
    """What one direction knows after ``<s>`` and these words."""
    hidden, _ = network.lstm(network.embedding(torch.tensor([[BOS, *words]])))
    return hidden[0, -1]


def distribution(network: BilstmNetwork, before: list[int], after: list[int]) -> Tensor:
    """Log-probabilities ``[vocabulary]`` of ``joint`` between two contexts, straight from the equation."""
    assert network.merge is not None
    sides = torch.cat([last(network.left, before), last(network.right, after[::-1])])
    merged = torch.tanh(network.merge.weight @ sides + network.merge.bias)
    return torch.log_softmax(network.left.output.weight @ merged + network.left.output.bias, dim=0)


@torch.no_grad()
def by_hand(scorer: BidirectionalModel, sentences: list[Tokens]) -> list[LogProbs]:
    """``joint``, one prediction at a time, each from two fresh LSTMs that are shown nothing but its two contexts."""
    network = scorer.network.eval()
    results = []
    for words in (sentence.tolist() for sentence in sentences):
        inner = [distribution(network, words[:t], words[t + 1 :])[word].item() for t, word in enumerate(words)]
        results.append(np.array([*inner, distribution(network, words, words)[EOS].item()]))
    return results


def assert_close(found: list[LogProbs], expected: list[LogProbs], tolerance: float = 1e-4) -> None:
    assert [len(values) for values in found] == [len(values) for values in expected]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=tolerance, rtol=0)


def batch_of(sentences: list[Tokens], padding: int = EOS) -> Batch:
    width = max(map(len, sentences)) + 1
    inputs, targets = torch.full((len(sentences), width), padding), torch.full((len(sentences), width), IGNORED)
    for row, words in enumerate(sentence.tolist() for sentence in sentences):
        inputs[row, : len(words) + 1] = torch.tensor([BOS, *words])
        targets[row, : len(words) + 1] = torch.tensor([*words, EOS])
    return Batch(inputs, targets)


def corpus_of(sentences: list[Tokens]) -> TokenCorpus:
    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    return TokenCorpus(np.concatenate(sentences), offsets, 0, 0, "")


class TestNoLeak:
    """A word takes no part in its own prediction."""

    @every_joint
    def test_changing_a_word_changes_every_prediction_but_its_own(self, name: str) -> None:
        network = model(name).network.eval()
        words = np.array([3, 9, 5, 5, 14, 7], dtype=np.int32)
        with torch.no_grad():
            expected = network.contexts(batch_of([words]))[0]
            for position in range(len(words)):
                changed = words.copy()
                changed[position] = 11
                found = network.contexts(batch_of([changed]))[0]
                assert torch.equal(found[position], expected[position])
                others = [row for row in range(len(words) + 1) if row != position]
                assert all(not torch.allclose(found[row], expected[row], atol=1e-6) for row in others)

    @every_joint
    def test_probabilities_of_a_position_sum_to_one_over_what_may_stand_there(self, name: str) -> None:
        # Were the word to be seen by its own prediction, these would be parts of different distributions.
        scorer, words = model(name), [3, 9, 5, 14]
        for position in range(len(words)):
            filled = [[*words[:position], token, *words[position + 1 :]] for token in range(VOCABULARY.size)]
            log_probs = [values[position] for values in scorer.token_log_probs(arrays(filled))]
            assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)
            assert len({round(value, 6) for value in log_probs}) == VOCABULARY.size

    @every_shape
    def test_the_gradient_of_a_word_s_log_probability_by_its_own_embedding_is_nothing(self, name: str) -> None:
        network = model(name).network.eval()
        read: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            output.retain_grad()
            read.append(output)

        network.left.embedding.register_forward_hook(keep)
        if network.right.embedding is not network.left.embedding:
            network.right.embedding.register_forward_hook(keep)
        words = np.array([3, 9, 5, 5, 14], dtype=np.int32)
        for position in range(len(words) + 1):
            read.clear()
            differentiable(network, words)[position].backward()
            forwards, backwards = (tensor.grad[0] for tensor in read if tensor.grad is not None)
            # Word i (from 0) stands at i + 1 behind <s>; read backwards, word 0 comes last.
            both = forwards[1:].abs() + backwards.flip(0)[:-1].abs()
            for word, gradient in enumerate(both):
                assert bool(gradient.any()) == (word != position), (position, word)


def differentiable(network: BilstmNetwork, words: Tokens) -> Tensor:
    """Log-probability of every token ``[tokens + 1]``, through the parts the training uses."""
    batch = batch_of([words])
    if network.merge is not None:
        return -network.left.output.nll(network.contexts(batch)[0], batch.targets[0])
    turned = batch_of([words[::-1]])
    left, right = (
        -side.output.nll(side(given.inputs)[0][0], given.targets[0])
        for side, given in ((network.left, batch), (network.right, turned))
    )
    return (left + torch.cat([right[:-1].flip(0), right[-1:]])) / 2


class TestScores:
    @every_joint
    @settings(max_examples=15, deadline=None)
    @given(sentences=sentences_of_ids)
    def test_trees_of_prefixes_and_suffixes_give_what_each_prediction_alone_gives(
        self, name: str, sentences: list[list[int]]
    ) -> None:
        scorer = model(name)
        assert_close(scorer.token_log_probs(arrays(sentences)), by_hand(scorer, arrays(sentences)))

    @every_shape
    def test_the_training_loss_is_the_score(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(20)
        scorer.network.eval()
        with torch.no_grad():
            for sentence, score in zip(sentences, scorer.score_tokens(sentences), strict=True):
                assert -scorer.network.loss(batch_of([sentence]))[0].item() == pytest.approx(score, abs=1e-4)
            for values, sentence in zip(scorer.token_log_probs(sentences), sentences, strict=True):
                np.testing.assert_allclose(differentiable(scorer.network, sentence), values, atol=1e-4)

    @every_shape
    def test_the_budget_changes_nothing(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(30)
        expected = scorer.token_log_probs(sentences)
        for budget in (1, 7, 40, 10_000):
            assert_close(scorer.token_log_probs(sentences, budget), expected)

    @every_joint
    def test_the_budget_bounds_the_tokens_in_memory(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer, sentences = model(name), random_sentences(30)
        sizes: list[int] = []
        score = BidirectionalModel._score

        def watched(self: BidirectionalModel, some: list[Tokens]) -> list[LogProbs]:
            sizes.append(sum(len(sentence) + 1 for sentence in some))
            return score(self, some)

        monkeypatch.setattr(BidirectionalModel, "_score", watched)
        scorer.token_log_probs(sentences, 40)
        assert max(sizes) <= 40
        assert sum(sizes) == sum(len(sentence) + 1 for sentence in sentences)
        assert len(sizes) < 2 * sum(sizes) / 40 + 1

    @every_shape
    def test_order_duplicates_and_company_change_nothing(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(30)
        expected = scorer.token_log_probs(sentences)
        shuffled = np.random.default_rng(1).permutation(len(sentences)).tolist()
        assert_close(scorer.token_log_probs([sentences[i] for i in shuffled]), [expected[i] for i in shuffled])
        assert_close(scorer.token_log_probs(sentences * 2), expected * 2)
        assert_close([scorer.token_log_probs([sentence])[0] for sentence in sentences], expected)

    @every_shape
    def test_padding_and_its_id_change_nothing(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(30)
        expected = -scorer.score_tokens(sentences).sum()
        network = scorer.network.eval()
        with torch.no_grad():
            for padding in (0, BOS, EOS, 7):
                assert network.loss(batch_of(sentences, padding))[0].item() == pytest.approx(expected, abs=1e-3)
            batches = list(SentenceBatches(corpus_of(sentences), VOCABULARY, 60, 1).batches(0))
            assert sum(network.loss(batch)[0].item() for batch in batches) == pytest.approx(expected, abs=1e-3)
        assert len(batches) > 3

    @every_joint
    def test_what_sentences_share_is_read_once(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer, sentences = model(name), random_sentences(60)
        rows: dict[int, int] = {}
        advance = LstmNetwork.advance

        def counting(self: LstmNetwork, state: State, parents: Tensor, gates: Tensor) -> State:
            rows[id(self)] = rows.get(id(self), 0) + len(gates)
            return advance(self, state, parents, gates)

        monkeypatch.setattr(LstmNetwork, "advance", counting)
        scorer.token_log_probs(sentences)
        texts = {tuple(sentence.tolist()) for sentence in sentences}
        prefixes = {text[:end] for text in texts for end in range(len(text) + 1)}
        suffixes = {text[begin:] for text in texts for begin in range(len(text) + 1)}
        assert rows == {id(scorer.network.left): len(prefixes), id(scorer.network.right): len(suffixes)}
        assert len(prefixes) + len(suffixes) < 1.7 * sum(len(text) + 1 for text in texts)

    def test_no_sentences_empty_ones_and_single_words(self) -> None:
        for name in CONFIGS:
            scorer = model(name)
            assert scorer.token_log_probs([]) == []
            assert scorer.score_tokens([]).shape == (0,)
            empty, one, none = scorer.token_log_probs(arrays([[], [5], []]))
            assert (len(empty), len(one)) == (1, 2)
            assert np.array_equal(empty, none)
            assert empty[0] < 0

    @every_joint
    def test_nothing_said_competes_with_every_single_word(self, name: str) -> None:
        tokens = [token for token in range(VOCABULARY.size) if token != EOS]
        scores = model(name).token_log_probs(arrays([[], *([token] for token in tokens)]))
        assert np.exp([values[0] for values in scores]).sum() == pytest.approx(1, abs=1e-5)

    @every_shape
    def test_dropout_is_for_training_only(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(10)
        expected = scorer.token_log_probs(sentences)
        scorer.network.train()
        assert_close(scorer.token_log_probs(sentences), expected, 0)


class TestMirror:
    """A mirrored corpus mirrors the model."""

    @staticmethod
    def mirrored(scorer: BidirectionalModel) -> BidirectionalModel:
        network = BilstmNetwork(scorer.network.config)
        network.load_state_dict(scorer.network.state_dict())
        network.left.load_state_dict(scorer.network.right.state_dict())
        network.right.load_state_dict(scorer.network.left.state_dict())
        if network.merge is not None:
            left, right = network.merge.weight.data.chunk(2, dim=1)
            network.merge.weight.data = torch.cat([right, left], dim=1)
        return BidirectionalModel("bilstm", network, VOCABULARY, "as-is")

    @every_shape
    def test_of_its_scores(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(30)
        expected = scorer.token_log_probs(sentences)
        found = self.mirrored(scorer).token_log_probs([sentence[::-1] for sentence in sentences])
        assert_close([np.append(values[:-1][::-1], values[-1]) for values in found], expected, 1e-5)
        if any(len(set(sentence.tolist())) > 1 for sentence in sentences):
            turned = scorer.score_tokens([sentence[::-1] for sentence in sentences])
            assert not np.allclose(turned, scorer.score_tokens(sentences), atol=0.1)

    @pytest.mark.parametrize("name", ["joint, one layer", "sum, one layer"])
    def test_of_its_training(self, name: str, tmp_path: Path) -> None:
        scorer, sentences = model(name), random_sentences(60)
        mirror = self.mirrored(scorer)
        turned = [sentence[::-1].copy() for sentence in sentences]
        options = TrainingOptions(epochs=3, batch_tokens=80, learning_rate=1e-3, validations=1, patience=0)
        for trained, text in ((scorer, sentences), (mirror, turned)):
            batches = SentenceBatches(corpus_of(text), VOCABULARY, 80, 1)
            train_network(trained.network, batches, batches, options, tmp_path / str(id(trained)), identity={})
        expected = scorer.score_tokens(sentences)
        np.testing.assert_allclose(mirror.score_tokens(turned), expected, atol=1e-2)
        assert not np.allclose(model(name).score_tokens(sentences), expected, atol=0.5)


class TestSum:
    """Two language models, each whole."""

    @every_sum
    def test_the_halves_are_lstm_language_models_with_these_weights(self, name: str) -> None:
        scorer, sentences = model(name), random_sentences(30)
        config = scorer.network.config
        sizes = LstmConfig(
            config.vocabulary_size, config.embedding, config.hidden, config.layers, config.dropout, config.tied
        )
        halves = []
        for side in (scorer.network.left, scorer.network.right):
            alone = LstmNetwork(sizes)
            alone.load_state_dict(side.state_dict())
            halves.append(NeuralLanguageModel("lstm", alone, VOCABULARY, "as-is"))
        forward = halves[0].token_log_probs(sentences)
        backward = halves[1].token_log_probs([sentence[::-1] for sentence in sentences])
        means = [
            np.array([*(f[:-1] + b[:-1][::-1]) / 2, (f[-1] + b[-1]) / 2])
            for f, b in zip(forward, backward, strict=True)
        ]
        assert_close(scorer.token_log_probs(sentences), means, 0)
        sums = (
            halves[0].score_tokens(sentences) + halves[1].score_tokens([sentence[::-1] for sentence in sentences])
        ) / 2
        np.testing.assert_allclose(scorer.score_tokens(sentences), sums, atol=1e-6)

    def test_no_more_than_all_probability_is_given_away(self) -> None:
        words = WordVocabulary(["a", "b"])
        torch.manual_seed(1)
        network = BilstmNetwork(BilstmConfig(words.size, 6, 6, combine="sum"))
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -1.0, 1.0)
        tokens = [words.unk_id, words.bos_id, *words.encode("a b")]
        sentences = [list(text) for length in range(6) for text in itertools.product(tokens, repeat=length)]
        total = np.exp(BidirectionalModel("bilstm", network, words, "as-is").score_tokens(arrays(sentences))).sum()
        assert 0.3 < total < 1

    def test_a_score_of_joint_is_no_probability_and_says_so(self) -> None:
        assert all(model(name).pseudo for name in JOINT)
        assert not any(model(name).pseudo for name in SUM)


@every_shape
def test_word_by_word_it_is_mixed_with_nothing(name: str) -> None:
    causal = NeuralLanguageModel("lstm", LstmNetwork(LstmConfig(VOCABULARY.size, 8, 8)), VOCABULARY, "as-is")
    members = [Member("lstm", causal), Member("both", model(name))]
    with pytest.raises(InputError, match="'both' predicts words from what follows them, too, so it cannot be mixed"):
        validation_log_probs(members, ["w1 w2"])
    assert causal.causal


class TestNetwork:
    @every_shape
    def test_gradients_reach_every_parameter(self, name: str) -> None:
        network = model(name).network.train()
        network.loss(batch_of(random_sentences(20)))[0].backward()
        for parameter_name, parameter in network.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
            assert parameter.grad.any(), parameter_name

    @every_shape
    def test_dropout_acts_in_training(self, name: str) -> None:
        network, batch = model(name).network.train(), batch_of(random_sentences(20))
        twice = [network.loss(batch)[0].item() for _ in range(2)]
        assert (twice[0] == twice[1]) == (network.config.dropout == 0)

    @pytest.mark.parametrize(
        ("sizes", "complaint"),
        [
            ({"layers": 0}, "field layers: expected a whole number above 0, not 0"),
            ({"combine": "both"}, "field combine: expected one of joint, sum, not 'both'"),
            ({"embedding": 5, "hidden": 6}, "tied embeddings need as many units as the embedding is wide, not 6 and 5"),
        ],
    )
    def test_sizes_that_make_no_network(self, sizes: dict[str, object], complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            BilstmConfig(**{"vocabulary_size": 9, **sizes})  # type: ignore[arg-type]


class TestFolder:
    @every_shape
    def test_saving_and_loading_changes_nothing(self, name: str, tmp_path: Path) -> None:
        scorer, sentences = model(name), random_sentences(20)
        scorer.save(tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        assert isinstance(loaded, BidirectionalModel)
        assert loaded.network.config == scorer.network.config
        assert (loaded.parameters, loaded.pseudo) == (scorer.parameters, scorer.pseudo)
        assert loaded.fingerprint() == scorer.fingerprint()
        assert_close(loaded.token_log_probs(sentences), scorer.token_log_probs(sentences), 0)
        assert loaded.fingerprint() != model(name, seed=2).fingerprint()

    def test_joint_has_one_embedding_for_both_directions(self, tmp_path: Path) -> None:
        scorer = model("joint, one layer")
        lstm = sum(parameter.numel() for parameter in scorer.network.left.lstm.parameters())
        size = VOCABULARY.size
        assert scorer.parameters == size * 10 + size + 2 * lstm + (20 * 10 + 10)
        scorer.save(tmp_path)
        network = load_model(tmp_path).network  # type: ignore[attr-defined]
        assert network.left.embedding.weight is network.right.output.weight


class TestOutOfMemory:
    @staticmethod
    def limit(network: BilstmNetwork, most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """A device that holds the states of so many nodes; the sizes of the trees tried."""
        tried: list[int] = []
        inner_states = network.left.inner_states

        def small(tree: PrefixTree) -> object:
            tried.append(len(tree))
            if len(tree) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return inner_states(tree)

        monkeypatch.setattr(network.left, "inner_states", small)
        return tried

    def test_parts_that_fit_give_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer, sentences = model("joint, two layers"), random_sentences(60)
        expected = scorer.token_log_probs(sentences)
        tried = self.limit(scorer.network, 40, monkeypatch)
        assert_close(scorer.token_log_probs(sentences), expected)
        assert max(tried) > 40

    def test_a_sentence_that_does_not_fit_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer = model("joint, two layers")
        self.limit(scorer.network, 30, monkeypatch)
        with pytest.raises(InputError, match="a sentence of 40 tokens does not fit into the GPU's memory"):
            scorer.token_log_probs([*random_sentences(5), np.arange(40, dtype=np.int32) % 12 + 3])


@pytest.mark.parametrize(("combine", "memory", "epochs"), [("joint", 0.0, 45), ("sum", np.log(200) / 7, 60)])
def test_a_small_text_is_learned_by_heart(combine: str, memory: float, epochs: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sentences = [" ".join(f"w{word}" for word in random.integers(12, size=6)) for _ in range(200)]
    corpus = TokenCorpus.from_sentences(sentences, VOCABULARY)
    torch.manual_seed(1)
    network = BilstmNetwork(BilstmConfig(VOCABULARY.size, 96, 96, combine=combine))  # type: ignore[arg-type]
    options = TrainingOptions(epochs=epochs, batch_tokens=280, learning_rate=2e-2, validations=1, patience=0)
    batches = SentenceBatches(corpus, VOCABULARY, 280, 1)
    result = train_network(network, batches, batches, options, tmp_path, identity={})
    # Without knowing the text 6 of 7 tokens cost log 12 nats; who reads from one side must still find out which it is.
    ignorance = 6 / 7 * np.log(12)
    assert memory - 1e-6 < result.best_loss < memory + 0.1 * (ignorance - memory)
    scores = BidirectionalModel("bilstm", network, VOCABULARY, "as-is").score_tokens(VOCABULARY.encode_batch(sentences))
    assert -scores.sum() / (7 * 200) == pytest.approx(result.best_loss, abs=1e-4)


class Killed(Exception):
    pass


class TestTraining:
    """From text to a folder."""

    OPTIONS = TrainingOptions(epochs=3, batch_tokens=60, learning_rate=1e-2, validations=4, patience=0)

    @pytest.fixture
    def text(self, tmp_path: Path) -> TextOptions:
        random = np.random.default_rng(0)
        lines = [" ".join(f"v{word}" for word in random.integers(9, size=random.integers(1, 7))) for _ in range(80)]
        paths = tmp_path / "train.txt", tmp_path / "valid.txt"
        for path, some in zip(paths, (lines[:60], lines[60:]), strict=True):
            path.write_text("".join(f"{line}\n" for line in some))
        return TextOptions((paths[0],), paths[1], normalizer="as-is", vocabulary="words")

    def train(
        self, sizes: BilstmConfig, text: TextOptions, folder: Path, report: Callable[[TrainingProgress], None]
    ) -> BidirectionalModel:
        trained, _ = train_model("bilstm", sizes, text, self.OPTIONS, folder, report=report)
        assert isinstance(trained, BidirectionalModel)
        return trained

    @every_shape
    def test_killed_and_taken_up_it_is_the_same_model_bit_for_bit(
        self, name: str, text: TextOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def kill(progress: TrainingProgress) -> None:
            if progress.step == 9:
                raise Killed

        whole = self.train(CONFIGS[name], text, tmp_path / "whole", lambda progress: None)
        with pytest.raises(Killed):
            self.train(CONFIGS[name], text, tmp_path / "killed", kill)
        resumed = self.train(CONFIGS[name], text, tmp_path / "killed", lambda progress: None)
        assert resumed.fingerprint() == whole.fingerprint()
        assert load_model(tmp_path / "killed").fingerprint() == whole.fingerprint()

    @pytest.mark.parametrize(
        ("name", "key"),
        [("joint, one layer", "valid_pseudo_perplexity"), ("sum, one layer", "valid_perplexity")],
    )
    def test_the_curve_calls_a_pseudo_perplexity_so(
        self, name: str, key: str, text: TextOptions, tmp_path: Path
    ) -> None:
        self.train(CONFIGS[name], text, tmp_path / "m", lambda progress: None)
        points = [json.loads(line) for line in (tmp_path / "m/training.jsonl").read_text().splitlines()]
        for point in points:
            assert point[key] == pytest.approx(np.exp(point["valid_loss"]))
            assert len({"valid_perplexity", "valid_pseudo_perplexity"} & set(point)) == 1

    def test_a_stream_is_refused(self, text: TextOptions, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'bilstm' reads sentence by sentence, not a stream"):
            train_model("bilstm", JOINT["joint, one layer"], text, replace(self.OPTIONS, context="stream"), tmp_path)
