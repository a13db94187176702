"""What every causal language model keeps to, whatever its network is.

A family's test file has a class of its own that names its shapes, makes models, and scores sentence by sentence in the
plainest way there is::

    class TestLaws(CausalLaws):
        shapes = CONFIGS
        model = staticmethod(model)
        one_by_one = staticmethod(one_by_one)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_lm.lm.loading import load_model
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.lm.training.batches import IGNORED, Batch, SentenceBatches
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(12)])
BOS, EOS = VOCABULARY.bos_id, VOCABULARY.eos_id

# Few different tokens and short sentences, so that many prefixes are shared.
sentences_of_ids = st.lists(st.lists(st.sampled_from([0, 3, 4, 5]), max_size=14), min_size=1, max_size=20)


def arrays(sentences: Iterable[Iterable[int]]) -> list[Tokens]:
    return [np.array([*sentence], dtype=np.int32) for sentence in sentences]


def random_sentences(count: int, seed: int = 0) -> list[Tokens]:
    """Sentences that share beginnings, as hypotheses do."""
    random = np.random.default_rng(seed)
    stems = [random.integers(3, 15, size=random.integers(0, 12)) for _ in range(max(count // 8, 1))]
    ends = [random.integers(3, 15, size=random.integers(0, 5)) for _ in range(count)]
    return [np.concatenate([stems[random.integers(len(stems))], end]).astype(np.int32) for end in ends]


def corpus_of(sentences: list[Tokens]) -> TokenCorpus:
    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    return TokenCorpus(np.concatenate(sentences), offsets, 0, 0, "")


def assert_close(found: list[LogProbs], expected: list[LogProbs], tolerance: float = 1e-4) -> None:
    assert [len(values) for values in found] == [len(values) for values in expected]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=tolerance, rtol=0)


def assert_continuations(model: LanguageModel, prefixes: list[list[int]], tolerance: float = 1e-4) -> None:
    """What may follow is what each token gets as the last of a sentence."""
    found = model.next_log_probs(arrays(prefixes))
    for prefix, values in zip(prefixes, found, strict=True):
        longer = arrays([*prefix, token] for token in range(model.vocabulary.size))
        expected = np.array([row[len(prefix)] for row in model.token_log_probs(longer)])
        spoken = np.isfinite(values)
        np.testing.assert_allclose(values[spoken], expected[spoken], atol=tolerance, rtol=0)


class CausalLaws:
    """The laws; ``shape`` is each of ``shapes`` in turn (see ``conftest.py``)."""

    shapes: ClassVar[Iterable[str]]
    model: ClassVar[Callable[[Any], NeuralLanguageModel]]
    one_by_one: ClassVar[Callable[[Any, list[Tokens]], list[LogProbs]]]

    @pytest.mark.parametrize("context", [[], [3], [5, 5, 0, 14], [4, 7, 9] * 10])
    def test_probabilities_sum_to_one_in_every_context(self, shape: str, context: list[int]) -> None:
        others = [token for token in range(VOCABULARY.size) if token != EOS]
        scores = self.model(shape).token_log_probs(arrays([[*context, token] for token in others] + [context]))
        log_probs = [values[len(context)] for values in scores]
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)
        assert len({round(value, 6) for value in log_probs}) == VOCABULARY.size

    def test_what_may_follow_is_what_each_token_gets_as_the_next(self, shape: str) -> None:
        assert_continuations(self.model(shape), [[], [3], [5, 5, 0, 14], [5, 5], [4, 7, 9] * 4])
        assert self.model(shape).next_log_probs([]).shape == (0, VOCABULARY.size)
        assert np.exp(self.model(shape).next_log_probs(arrays([[3, 4]]))).sum() == pytest.approx(1, abs=1e-5)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(sentences=sentences_of_ids)
    def test_the_tree_gives_what_each_sentence_alone_gives(self, shape: str, sentences: list[list[int]]) -> None:
        scorer = self.model(shape)
        assert_close(scorer.token_log_probs(arrays(sentences)), self.one_by_one(scorer, arrays(sentences)))

    def test_a_hundred_tokens_are_as_exact_as_one(self, shape: str) -> None:
        scorer, sentences = self.model(shape), [np.arange(200, dtype=np.int32) * 7 % 12 + 3]
        assert_close(scorer.token_log_probs(sentences), self.one_by_one(scorer, sentences))

    def test_the_budget_changes_nothing(self, shape: str) -> None:
        scorer, sentences = self.model(shape), random_sentences(25)
        expected = self.one_by_one(scorer, sentences)
        for budget in (1, 3, 20, 60, 1000, None):
            assert_close(scorer.token_log_probs(sentences, budget), expected)

    def test_order_duplicates_and_company_change_nothing(self, shape: str) -> None:
        scorer, sentences = self.model(shape), random_sentences(40)
        expected = scorer.token_log_probs(sentences)
        shuffled = np.random.default_rng(1).permutation(len(sentences)).tolist()
        assert_close(scorer.token_log_probs([sentences[i] for i in shuffled]), [expected[i] for i in shuffled], 1e-5)
        assert_close(scorer.token_log_probs(sentences * 3), expected * 3, 1e-5)
        assert_close([scorer.token_log_probs([sentence])[0] for sentence in sentences], expected, 1e-5)

    def test_sentence_scores_are_the_sums(self, shape: str) -> None:
        scorer, sentences = self.model(shape), random_sentences(20)
        expected = [values.sum() for values in self.one_by_one(scorer, sentences)]
        np.testing.assert_allclose(scorer.score_tokens(sentences), expected, atol=1e-3)

    def test_no_sentences_and_empty_ones(self, shape: str) -> None:
        scorer = self.model(shape)
        assert scorer.token_log_probs([]) == []
        assert scorer.score_tokens([]).shape == (0,)
        (empty,) = arrays([[]])
        assert_close(scorer.token_log_probs([empty, empty]), self.one_by_one(scorer, [empty]) * 2)

    def test_dropout_is_for_training_only(self, shape: str) -> None:
        scorer, sentences = self.model(shape), random_sentences(10)
        expected = scorer.token_log_probs(sentences)
        scorer.network.train()
        assert_close(scorer.token_log_probs(sentences), expected, 0)

    def test_gradients_reach_every_parameter(self, shape: str) -> None:
        torch.manual_seed(2)
        network = self.model(shape).network.train()
        inputs, targets = torch.randint(VOCABULARY.size, (2, 4, 70))
        network.loss(Batch(inputs, targets))[0].backward()
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
                assert parameter.grad.any(), name

    def test_padding_of_a_batch_and_its_id_change_nothing(self, shape: str) -> None:
        scorer, sentences = self.model(shape), random_sentences(30)
        expected = -sum(values.sum() for values in self.one_by_one(scorer, sentences))
        network = scorer.network.eval()
        batches = list(SentenceBatches(corpus_of(sentences), VOCABULARY, 200, None).batches(0))
        assert sum(int((batch.targets == IGNORED).sum()) for batch in batches) > 30
        for pad in (EOS, 0, 14):
            padded = [replace(one, inputs=one.inputs.where(one.targets != IGNORED, pad)) for one in batches]
            with torch.no_grad():
                losses = [float(network.loss(batch)[0]) for batch in padded]
            assert sum(losses) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("half", [False, True])
    def test_saving_and_loading_changes_nothing(self, shape: str, half: bool, tmp_path: Path) -> None:
        scorer, sentences = self.model(shape), random_sentences(20)
        scorer.save(tmp_path / "model", half=half)
        loaded = load_model(tmp_path / "model")
        assert isinstance(loaded, type(scorer))
        assert loaded.network.config == scorer.network.config
        assert (loaded.family, loaded.normalizer) == (scorer.family, scorer.normalizer)
        assert loaded.parameters == scorer.parameters
        assert (loaded.fingerprint() == scorer.fingerprint()) != half
        found = loaded.token_log_probs(sentences)
        assert_close(found, scorer.token_log_probs(sentences), 3e-2 if half else 0)


def check_learning_by_heart(
    scorer: NeuralLanguageModel, options: TrainingOptions, folder: Path, words: int = 6
) -> None:
    """Train on 200 random sentences of so many words, until little more is unknown than which sentence it is."""
    random = np.random.default_rng(0)
    sentences = [" ".join(f"w{word}" for word in random.integers(12, size=words)) for _ in range(200)]
    corpus = TokenCorpus.from_sentences(sentences, VOCABULARY)
    scorer.network.prepare(torch.from_numpy(corpus.counts(VOCABULARY)))
    train = SentenceBatches(corpus, VOCABULARY, options.batch_tokens, 1)
    valid = SentenceBatches(corpus, VOCABULARY, 2000, None)
    result = train_network(scorer.network, train, valid, options, folder, identity={})
    # Without knowing the text all tokens but </s> cost log 12 nats; to name one of 200 sentences takes log 200.
    ignorance, memory = words / (words + 1) * math.log(12), math.log(200) / (words + 1)
    assert memory < result.best_loss < memory + 0.15 * (ignorance - memory)
    scores = scorer.score_tokens(VOCABULARY.encode_batch(sentences))
    assert -scores.sum() / (200 * (words + 1)) == pytest.approx(result.best_loss, abs=1e-4)
