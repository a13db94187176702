from __future__ import annotations

import numpy as np

from asr_lm.lm.training.batches import IGNORED
from asr_lm.lm.training.confusions import Confusions
from asr_lm.lm.training.pairs import ListedPairs, NoisyPairs, PairBatch, PairBatches, encode_sources, join_source
from asr_lm.text.vocabulary import WordVocabulary

WORDS = WordVocabulary(["a", "b", "c"])
CONFUSIONS = Confusions.learn([("a b", ["a c", "a b"]), ("b", ["a", "a"]), ("c c", ["c c", "c c"])])


def rows(batch: PairBatch) -> list[tuple[list[int], list[int], list[int]]]:
    """Source, input and target of each pair, without padding."""
    found = []
    for source, inputs, targets in zip(batch.source, batch.inputs, batch.targets, strict=True):
        length = int((targets != IGNORED).sum())
        found.append((source[source != IGNORED].tolist(), inputs[:length].tolist(), targets[:length].tolist()))
    return found


def test_sources_worked_by_hand() -> None:
    first, second = encode_sources([["a b", "c", "a b"], ["", "b"]], WORDS, "list")
    assert first.tolist() == [3, 4, WORDS.size, 5, 2]
    assert second.tolist() == [WORDS.size, 4, 2]
    assert [some.tolist() for some in encode_sources([["a b", "c"], [""]], WORDS, "first")] == [[3, 4, 2], [2]]
    assert join_source([np.array([], np.int32), np.array([7], np.int32)], 9, 2).tolist() == [9, 7, 2]


def test_every_pair_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    generator = np.random.default_rng(0)
    sources = [np.append(generator.integers(3, 6, n % 9), 2).astype(np.int32) for n in range(60)]
    targets = [np.append(generator.integers(3, 6, n % 5), n + 10).astype(np.int32) for n in range(60)]
    batches = PairBatches(ListedPairs(sources, targets), WORDS, 30, seed=1)
    orders = []
    for epoch in (0, 1):
        found = [row for batch in batches.batches(epoch) for row in rows(batch)]
        orders.append([target[-2] - 10 for _, _, target in found])
        for source, inputs, target in found:
            number = target[-2] - 10
            assert source == sources[number].tolist()
            assert inputs == [1, *targets[number].tolist()]
            assert target == [*targets[number].tolist(), 2]
        for batch in batches.batches(epoch):
            assert max(batch.source.numel(), batch.inputs.numel()) <= 30
        assert len(list(batches.batches(epoch))) == batches.count(epoch)
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(60))
    assert orders[0] != orders[1]


def test_an_epoch_can_be_taken_up_anywhere() -> None:
    pairs = NoisyPairs(["a b c"] * 20 + ["b"] * 30, CONFUSIONS, WORDS, "list", seed=3)
    batches = PairBatches(pairs, WORDS, 24, seed=1)
    whole = [rows(batch) for batch in batches.batches(2)]
    again = PairBatches(NoisyPairs(["a b c"] * 20 + ["b"] * 30, CONFUSIONS, WORDS, "list", seed=3), WORDS, 24, seed=1)
    assert [rows(batch) for batch in again.batches(2, start=3)] == whole[3:]


def test_noise_is_new_in_every_epoch_and_targets_stay() -> None:
    pairs = NoisyPairs(["a b c b a b"] * 10, CONFUSIONS, WORDS, "list", seed=3)
    first, second = (list(map(tuple, pairs.sources(epoch, range(10)))) for epoch in (0, 1))
    assert first != second
    assert first == list(map(tuple, pairs.sources(0, range(10))))
    assert [target.tolist() for target in pairs.targets] == [WORDS.encode("a b c b a b").tolist()] * 10
    assert len(pairs.lengths) == 10
