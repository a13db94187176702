"""Pairs of a source and a target: what a recogniser heard, and what was said.

A source is a hypothesis, or all distinct hypotheses of a list in the recogniser's order, as token ids joined by a
separator and closed by ``</s>``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.lm.families.birnn_attention import Heard
from asr_lm.lm.training.batches import IGNORED, Batch, LengthBuckets
from asr_lm.text.piece_dropout import PieceDropout
from asr_lm.text.vocabulary import Tokens, Vocabulary

_SAMPLE = 1000
"""Texts that are corrupted to see how long sources are."""


@dataclass(frozen=True)
class PairBatch(Batch):
    """A batch of targets, each with its source.

    Attributes:
        source: token ids ``[batch, source time]``, padded with :data:`~asr_lm.lm.training.batches.IGNORED`.
    """

    source: Tensor


class Pairs(Protocol):
    """Where pairs come from.

    Attributes:
        targets: token ids of the targets.
        lengths: about how many tokens the source of each pair has ``[pairs]``.
    """

    targets: Sequence[Tokens]
    lengths: NDArray[np.int64]

    def sources(self, epoch: int, indices: Sequence[int]) -> list[Tokens]:
        """Token ids of the sources of some pairs; they may differ from epoch to epoch, but by nothing else."""


class ListedPairs:
    """Pairs that are the same in every epoch.

    Args:
        sources: token ids.
        targets: token ids.
    """

    def __init__(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> None:
        self._sources = sources
        self.targets = targets
        self.lengths = np.array([len(source) for source in sources], dtype=np.int64)

    def sources(self, epoch: int, indices: Sequence[int]) -> list[Tokens]:
        return [self._sources[index] for index in indices]


class Noise(Protocol):
    """A model of a recogniser's errors."""

    def corrupt(self, text: str, random: np.random.Generator) -> list[str]:
        """Hypotheses, at least one, as the recogniser might have written them for a normalised text."""


class RespeltPairs:
    """Pairs whose sources are read in other pieces in every epoch.

    Args:
        heard_said: hypotheses, best first, and reference of each, normalised.
        vocabulary: of byte pair encoding.
        heard: as in :func:`encode_sources`.
        dropout: reads the sources.
        seed: of the pieces; they depend on nothing but it, the epoch and the number of the pair.
    """

    def __init__(
        self,
        heard_said: Sequence[tuple[Sequence[str], str]],
        vocabulary: Vocabulary,
        heard: Heard,
        dropout: PieceDropout,
        seed: int,
    ) -> None:
        self._heard_said, self._vocabulary, self._heard = heard_said, vocabulary, heard
        self._dropout, self._seed = dropout, seed
        self.targets: Sequence[Tokens] = vocabulary.encode_batch([said for _, said in heard_said])
        self.lengths = np.array([len(source) for source in self.sources(0, range(len(heard_said)))], dtype=np.int64)

    def sources(self, epoch: int, indices: Sequence[int]) -> list[Tokens]:
        found = []
        for index in indices:
            read = partial(self._dropout.encode, random=np.random.default_rng([self._seed, epoch, index]))
            found += encode_sources([self._heard_said[index][0]], self._vocabulary, self._heard, read)
        return found


class MixedNoise:
    """Noise of several kinds, each as often; a text is corrupted by one of them."""

    def __init__(self, kinds: Sequence[Noise]) -> None:
        self._kinds = kinds

    def corrupt(self, text: str, random: np.random.Generator) -> list[str]:
        return self._kinds[int(random.integers(len(self._kinds)))].corrupt(text, random)


class NoisyPairs:
    """Pairs of a text and what a recogniser might have heard, drawn anew in every epoch.

    Args:
        texts: normalised targets.
        noise: the recogniser's errors.
        vocabulary, heard: as in :func:`encode_sources`.
        seed: of errors and pieces; they depend on nothing but it, the epoch and the number of the text.
        dropout: reads the sources; None reads them in the vocabulary's own pieces.
    """

    def __init__(
        self,
        texts: Sequence[str],
        noise: Noise,
        vocabulary: Vocabulary,
        heard: Heard,
        seed: int,
        dropout: PieceDropout | None = None,
    ) -> None:
        self._texts, self._noise, self._vocabulary = texts, noise, vocabulary
        self._heard, self._seed, self._dropout = heard, seed, dropout
        self.targets: Sequence[Tokens] = vocabulary.encode_batch(texts)
        drawn = self.sources(0, range(0, len(texts), max(1, len(texts) // _SAMPLE)))
        sizes = [len(self.targets[index]) + 1 for index in range(0, len(texts), max(1, len(texts) // _SAMPLE))]
        longer = sum(map(len, drawn)) / sum(sizes)
        self.lengths = np.array([round(longer * (len(target) + 1)) for target in self.targets], dtype=np.int64)

    def sources(self, epoch: int, indices: Sequence[int]) -> list[Tokens]:
        drawn = []
        for index in indices:
            random = np.random.default_rng([self._seed, epoch, index])
            heard = self._noise.corrupt(self._texts[index], random)
            read = None if self._dropout is None else partial(self._dropout.encode, random=random)
            drawn += encode_sources([heard], self._vocabulary, self._heard, read)
        return drawn


class PairBatches:
    """Batches of pairs of like length.

    Args:
        pairs: what to learn.
        vocabulary: knows ``<s>`` and ``</s>``.
        budget: most tokens of a batch, padding included, on either side (where the lengths of sources are estimates,
            about so many).
        seed: of the order; None keeps the pairs in order of length (validation).
    """

    carries_state = False

    def __init__(self, pairs: Pairs, vocabulary: Vocabulary, budget: int, seed: int | None) -> None:
        self._pairs = pairs
        self._vocabulary = vocabulary
        targets = np.array([len(target) + 1 for target in pairs.targets], dtype=np.int64)
        self._buckets = LengthBuckets(np.maximum(targets, pairs.lengths), budget, seed)

    def count(self, epoch: int) -> int:
        return len(self._buckets.plan(epoch))

    def batches(self, epoch: int, start: int = 0) -> Iterator[PairBatch]:
        for indices in self._buckets.plan(epoch)[start:]:
            sources = self._pairs.sources(epoch, indices.tolist())
            yield pair_batch(sources, [self._pairs.targets[index] for index in indices.tolist()], self._vocabulary)


def join_source(hypotheses: Sequence[Tokens], separator: int, end: int) -> Tokens:
    """The source made of some hypotheses, at least one."""
    parts: list[Tokens] = []
    for number, hypothesis in enumerate(hypotheses):
        parts += [hypothesis, np.array([separator if number < len(hypotheses) - 1 else end], dtype=np.int32)]
    return np.concatenate(parts).astype(np.int32)


def source_hypotheses(hypotheses: Sequence[str], heard: Heard) -> list[str]:
    """Which of a list's hypotheses become its source: distinct ones, the first alone or all of them."""
    return list(dict.fromkeys(hypotheses))[: 1 if heard == "first" else None]


def encode_sources(
    lists: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    heard: Heard,
    read: Callable[[str], Tokens] | None = None,
) -> list[Tokens]:
    """The source of each list of normalised hypotheses, at least one each, best first.

    Args:
        lists: hypotheses; of equal ones the first counts.
        vocabulary: its size is the id of the separator.
        heard: ``first``: the first hypothesis alone; ``list``: all of them.
        read: token ids of a text; None reads it in the vocabulary's own pieces.
    """
    chosen = [source_hypotheses(some, heard) for some in lists]
    texts = [text for some in chosen for text in some]
    encoded = iter(vocabulary.encode_batch(texts) if read is None else map(read, texts))
    return [join_source([next(encoded) for _ in some], vocabulary.size, vocabulary.eos_id) for some in chosen]


def padded(sequences: Sequence[Tokens], padding: int) -> Tensor:
    """Sequences as rows ``[sequences, longest]``."""
    rows = torch.full((len(sequences), max(map(len, sequences))), padding, dtype=torch.int64)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = torch.from_numpy(np.asarray(sequence, dtype=np.int64))
    return rows


def pair_batch(sources: Sequence[Tokens], targets: Sequence[Tokens], vocabulary: Vocabulary) -> PairBatch:
    """The batch of these pairs."""
    begun, closed = zip(*map(vocabulary.frame, targets), strict=True)
    return PairBatch(padded(begun, vocabulary.eos_id), padded(closed, IGNORED), padded(sources, IGNORED))
