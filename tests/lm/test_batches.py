"""Laws of training batches: every token is a target once an epoch, at the right place, in an order that repeats."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.lm.training.batches import IGNORED, Batch, NoisyBatches, SentenceBatches, StreamBatches, WindowBatches
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(50)])
BOS, EOS = VOCABULARY.bos_id, VOCABULARY.eos_id

# Token ids from 3; an empty sentence is possible (SentencePiece spells some texts with nothing).
texts = st.lists(st.lists(st.integers(3, 52), max_size=12), min_size=1, max_size=30).filter(any)


def corpus_of(sentences: list[list[int]]) -> TokenCorpus:
    tokens = np.array([token for sentence in sentences for token in sentence], dtype=np.uint16)
    return TokenCorpus(tokens, np.cumsum([0, *map(len, sentences)], dtype=np.int64), 0, 0, "")


def random_corpus(count: int, seed: int = 0) -> TokenCorpus:
    random = np.random.default_rng(seed)
    return corpus_of([random.integers(3, 53, size=random.integers(1, 15)).tolist() for _ in range(count)])


def lines(batch: Batch) -> list[list[int]]:
    """The sentences of a batch of sentences, read off inputs and targets."""
    rows = []
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        length = targets.index(EOS) + 1
        assert set(targets[length:]) <= {IGNORED}
        assert inputs[0] == BOS
        assert inputs[1:length] == targets[: length - 1]
        rows.append(targets[: length - 1])
    return rows


def equal(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)
        for one, other in zip(first, second, strict=True)
    )


class TestSentenceBatches:
    @given(texts, st.integers(1, 60), st.sampled_from([None, 3]), st.integers(0, 3))
    def test_every_sentence_once_an_epoch_within_the_budget(
        self, sentences: list[list[int]], budget: int, seed: int | None, epoch: int
    ) -> None:
        source = SentenceBatches(corpus_of(sentences), VOCABULARY, budget, seed)
        batches = list(source.batches(epoch))
        assert len(batches) == source.count(epoch)
        found = [line for batch in batches for line in lines(batch)]
        assert Counter(map(tuple, found)) == Counter(map(tuple, sentences))
        for batch in batches:
            assert batch.inputs.shape == batch.targets.shape
            assert batch.inputs.numel() <= budget or len(batch.inputs) == 1
            assert batch.tokens == sum(len(line) + 1 for line in lines(batch))

    def test_the_order_depends_on_seed_and_epoch_alone(self) -> None:
        corpus = random_corpus(300)
        first, again, other = (SentenceBatches(corpus, VOCABULARY, 64, seed) for seed in (1, 1, 2))
        list(first.batches(0))
        epochs = [list(first.batches(epoch)) for epoch in (5, 3, 5)]
        assert equal(epochs[0], epochs[2])
        assert equal(epochs[0], list(again.batches(5)))
        assert not equal(epochs[0], epochs[1])
        assert not equal(epochs[0], list(other.batches(5)))

    @pytest.mark.parametrize("start", [0, 1, 17, 10_000])
    def test_an_epoch_can_be_taken_up_anywhere(self, start: int) -> None:
        source = SentenceBatches(random_corpus(300), VOCABULARY, 64, 1)
        whole = list(source.batches(2))
        assert equal(list(source.batches(2, start)), whole[start:])

    def test_pools_mix_the_text_and_waste_little_on_padding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("asr_lm.lm.training.batches._POOL_BATCHES", 20)
        corpus = random_corpus(4000)
        batches = list(SentenceBatches(corpus, VOCABULARY, 128, 1).batches(0))
        used = sum(batch.tokens for batch in batches) / sum(batch.targets.numel() for batch in batches)
        assert used > 0.95
        widths = [batch.inputs.shape[1] for batch in batches]
        assert np.corrcoef(widths, np.arange(len(widths)))[0, 1] == pytest.approx(0, abs=0.15)

    def test_without_a_seed_sentences_come_by_length_in_their_order(self) -> None:
        sentences = [[3, 4], [5], [6, 7], [8], [9, 10, 11]]
        source = SentenceBatches(corpus_of(sentences), VOCABULARY, 6, None)
        assert [lines(batch) for batch in source.batches(0)] == [[[5], [8]], [[3, 4], [6, 7]], [[9, 10, 11]]]

    def test_a_sentence_longer_than_the_budget_is_whole_and_alone(self) -> None:
        source = SentenceBatches(corpus_of([[3] * 20, [4]]), VOCABULARY, 5, 1)
        assert sorted(len(line) for batch in source.batches(0) for line in lines(batch)) == [1, 20]
        assert source.count(0) == 2


class TestStreamBatches:
    @given(texts, st.integers(1, 8), st.integers(1, 10))
    def test_the_streams_one_after_another_spell_the_text(
        self, sentences: list[list[int]], streams: int, steps: int
    ) -> None:
        source = StreamBatches(corpus_of(sentences), VOCABULARY, streams, steps)
        batches = list(source.batches(0))
        assert len(batches) == source.count(0)
        assert all(batch.inputs.shape[1] == steps for batch in batches[:-1])
        targets = torch.cat([batch.targets for batch in batches], dim=1).flatten()
        inputs = torch.cat([batch.inputs for batch in batches], dim=1).flatten()[targets != IGNORED].tolist()
        targets = targets[targets != IGNORED].tolist()
        assert targets == [token for sentence in sentences for token in (*sentence, EOS)]
        # What is read is what was to be predicted before, a sentence's end being the next one's beginning.
        assert inputs == [BOS, *(BOS if token == EOS else token for token in targets[:-1])]
        assert sum(batch.tokens for batch in batches) == len(targets)

    @given(texts, st.integers(1, 8))
    def test_padding_is_at_the_end_of_the_text_only(self, sentences: list[list[int]], streams: int) -> None:
        (batch,) = StreamBatches(corpus_of(sentences), VOCABULARY, streams, 10_000).batches(0)
        counts = (batch.targets != IGNORED).flatten().int()
        assert counts.diff().le(0).all()
        rows, width = batch.targets.shape
        assert 0 <= rows * width - counts.sum() < rows

    def test_a_row_goes_on_where_it_stopped(self) -> None:
        source = StreamBatches(random_corpus(100), VOCABULARY, 4, 7)
        batches = list(source.batches(0))
        assert len(batches) > 10
        for before, after in itertools.pairwise(batches[:-1]):
            last = before.targets[:, -1]
            assert torch.equal(after.inputs[:, 0], torch.where(last == EOS, BOS, last))

    def test_every_epoch_is_the_same_and_can_be_taken_up_anywhere(self) -> None:
        source = StreamBatches(random_corpus(60), VOCABULARY, 3, 5)
        whole = list(source.batches(0))
        assert equal(list(source.batches(4)), whole)
        for start in (1, 9, len(whole), 1000):
            assert equal(list(source.batches(1, start)), whole[start:])

    def test_more_streams_than_tokens(self) -> None:
        (batch,) = StreamBatches(corpus_of([[3], [4]]), VOCABULARY, 100, 5).batches(0)
        assert batch.targets.tolist() == [[3], [EOS], [4], [EOS]]
        assert batch.inputs.tolist() == [[BOS], [3], [BOS], [4]]


class TestWindowBatches:
    @staticmethod
    def rows(source: WindowBatches, epoch: int) -> list[tuple[list[int], list[int]]]:
        """Inputs and targets of every window, without the padding."""
        rows = []
        for batch in source.batches(epoch):
            for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
                kept = targets != IGNORED
                rows.append((inputs[kept].tolist(), targets[kept].tolist()))
        return rows

    @given(texts, st.integers(1, 8), st.sampled_from([1, 3, 10, 70]), st.integers(0, 5), st.sampled_from([0, 4, 4.5]))
    def test_every_token_is_predicted_once_an_epoch(
        self, sentences: list[list[int]], rows: int, most: int, epoch: int, short: float
    ) -> None:
        source = WindowBatches(corpus_of(sentences), VOCABULARY, rows * most, most, seed=1, short_epochs=short)
        steps = source.steps(epoch)
        rows = rows * most // steps
        batches = list(source.batches(epoch))
        assert len(batches) == source.count(epoch)
        assert all(batch.inputs.shape == batch.targets.shape for batch in batches)
        assert all(len(batch.inputs) == rows for batch in batches[:-1])
        assert all(batch.inputs.shape[1] == steps for batch in batches)
        counted = Counter(token for _, targets in self.rows(source, epoch) for token in targets)
        assert counted == Counter(token for sentence in sentences for token in (*sentence, EOS))

    def test_a_window_is_a_piece_of_the_text(self) -> None:
        sentences = [[3, 4, 5], [6, 7], [8, 9, 10, 11]]
        source = WindowBatches(corpus_of(sentences), VOCABULARY, 8, 4, seed=1)
        inputs = [BOS, 3, 4, 5, BOS, 6, 7, BOS, 8, 9, 10, 11]
        targets = [3, 4, 5, EOS, 6, 7, EOS, 8, 9, 10, 11, EOS]
        pairs = list(zip(inputs, targets, strict=True))
        for epoch in range(5):
            begins = []
            for read, predicted in self.rows(source, epoch):
                begin = pairs.index((read[0], predicted[0]))
                assert list(zip(read, predicted, strict=True)) == pairs[begin : begin + len(read)]
                begins.append(begin)
            assert all((after - begin) == 4 for begin, after in itertools.pairwise(sorted(begins)[1:]))

    def test_epochs_cut_elsewhere_and_seeds_decide_where(self) -> None:
        corpus = random_corpus(100)
        source = WindowBatches(corpus, VOCABULARY, 64, 16, seed=1)
        firsts = [min(len(targets) for _, targets in self.rows(source, epoch)) for epoch in range(8)]
        assert len(set(firsts)) > 1
        assert self.rows(source, 0) != self.rows(source, 1)
        assert self.rows(source, 0) == self.rows(WindowBatches(corpus, VOCABULARY, 64, 16, seed=1), 0)
        assert self.rows(source, 0) != self.rows(WindowBatches(corpus, VOCABULARY, 64, 16, seed=2), 0)

    def test_an_epoch_can_be_taken_up_anywhere(self) -> None:
        source = WindowBatches(random_corpus(60), VOCABULARY, 15, 5, seed=1)
        whole = list(source.batches(2))
        for start in (1, 9, len(whole), 1000):
            assert equal(list(source.batches(2, start)), whole[start:])

    def test_padding_is_read_by_nobody(self) -> None:
        (batch,) = WindowBatches(corpus_of([[3], [4]]), VOCABULARY, 5000, 50, seed=1).batches(0)
        kept = batch.targets != IGNORED
        assert kept.sum() == 4
        assert (kept.int().diff(dim=1) <= 0).all()

    def test_windows_grow(self) -> None:
        corpus = random_corpus(200)
        source = WindowBatches(corpus, VOCABULARY, 600, 300, seed=1, short_epochs=6.5)
        assert [source.steps(epoch) for epoch in range(9)] == [32, 32, 64, 64, 128, 256, 256, 300, 300]
        for epoch in (0, 3, 8):
            batch = next(source.batches(epoch))
            assert batch.inputs.shape == (600 // source.steps(epoch), source.steps(epoch))
        assert WindowBatches(corpus, VOCABULARY, 600, 300, seed=1).steps(0) == 300
        assert WindowBatches(corpus, VOCABULARY, 600, 20, seed=1, short_epochs=5).steps(0) == 20


class TestNoisyBatches:
    @staticmethod
    def noisy(corpus: TokenCorpus, share: float, seed: int = 0) -> NoisyBatches:
        clean = StreamBatches(corpus, VOCABULARY, 4, 7)
        return NoisyBatches(clean, share, corpus.counts(VOCABULARY), VOCABULARY, seed)

    def test_a_share_of_the_words_read_is_drawn_by_frequency(self) -> None:
        words = [3] * 6000 + [4] * 3000 + [5] * 1000
        np.random.default_rng(1).shuffle(words)
        corpus = corpus_of([words[at : at + 10] for at in range(0, len(words), 10)])
        clean = StreamBatches(corpus, VOCABULARY, 4, 7).batches(0)
        before, after = (
            torch.cat([batch.inputs.flatten() for batch in batches])
            for batches in (clean, self.noisy(corpus, 0.5).batches(0))
        )
        for word, often in ((3, 0.6), (4, 0.3), (5, 0.1)):
            kept = (after[before == word] == word).double().mean().item()
            assert kept == pytest.approx(0.5 + 0.5 * often, abs=0.05)
        counts = torch.bincount(after, minlength=6)[3:6].double()
        assert (counts / counts.sum()).tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.02)

    @given(texts)
    def test_targets_sentence_beginnings_and_padding_stay(self, sentences: list[list[int]]) -> None:
        corpus = corpus_of(sentences)
        for clean in (StreamBatches(corpus, VOCABULARY, 2, 5), SentenceBatches(corpus, VOCABULARY, 40, 1)):
            noisy = NoisyBatches(clean, 1.0, corpus.counts(VOCABULARY), VOCABULARY, 3)
            assert (noisy.count(0), noisy.carries_state) == (clean.count(0), clean.carries_state)
            for before, after in zip(clean.batches(0), noisy.batches(0), strict=True):
                assert torch.equal(before.targets, after.targets)
                for token in (BOS, EOS):
                    assert torch.equal(before.inputs == token, after.inputs == token)
                assert set(after.inputs.flatten().tolist()) <= {BOS, EOS, *itertools.chain(*sentences)}

    def test_it_differs_by_epoch_and_seed_and_can_be_taken_up_anywhere(self) -> None:
        corpus = random_corpus(40)
        whole = list(self.noisy(corpus, 0.3).batches(2))
        assert equal(whole, list(self.noisy(corpus, 0.3).batches(2)))
        assert equal(whole[4:], list(self.noisy(corpus, 0.3).batches(2, 4)))
        assert not equal(whole, list(self.noisy(corpus, 0.3).batches(1)))
        assert not equal(whole, list(self.noisy(corpus, 0.3, seed=1).batches(2)))

    def test_none_of_it_changes_nothing(self) -> None:
        corpus = random_corpus(20)
        assert equal(list(self.noisy(corpus, 0.0).batches(0)), list(StreamBatches(corpus, VOCABULARY, 4, 7).batches(0)))
