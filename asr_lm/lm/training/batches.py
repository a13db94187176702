"""Training batches: single sentences in buckets of like length, token streams with carried state, or windows.

The input of a sentence is ``<s> w1 … wn``, its target ``w1 … wn </s>``. In a stream the sentences follow one another,
so ``<s>`` stands wherever a sentence begins and the network's state is carried across. A network without a state to
carry reads windows of that text, cut elsewhere in every epoch. The order of the batches depends on the seed and the
epoch alone, so a training can be taken up anywhere. Noise may replace some of the input.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.text.vocabulary import Tokens, Vocabulary

IGNORED = -1
"""Target of padding."""

_SHORTEST_WINDOW = 32
"""Tokens of the first windows, where they grow."""

_POOL_BATCHES = 100
"""Sentences are sorted by length within pools of about so many batches."""


@dataclass(frozen=True)
class Batch:
    """Attributes: inputs, targets: token ids ``[batch, time]``; padded targets are :data:`IGNORED`."""

    inputs: Tensor
    targets: Tensor

    @property
    def tokens(self) -> int:
        """Targets that count."""
        return int((self.targets != IGNORED).sum())

    @property
    def units(self) -> int:
        """What the loss is the sum over, and its mean is taken of: the tokens."""
        return self.tokens

    def __getitem__(self, rows: slice) -> Self:
        """The batch of some of its rows."""
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""
        tensors = {field.name: getattr(self, field.name).to(device) for field in fields(self)}
        return replace(self, **tensors)


class BatchSource(Protocol):
    """Where the training loop gets its batches.

    Attributes:
        carries_state: whether row ``i`` of a batch goes on where row ``i`` of the batch before stopped.
    """

    carries_state: bool

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number ``start`` on."""

    def count(self, epoch: int) -> int:
        """Number of batches in an epoch."""


class LengthBuckets:
    """Which examples go into which batch: those of like length together, in random order.

    Args:
        lengths: tokens of each example ``[examples]``.
        budget: most tokens of a batch, padding included; a longer example makes a batch of its own.
        seed: of the order; None keeps the examples in order of length (validation).
    """

    def __init__(self, lengths: NDArray[np.int64], budget: int, seed: int | None) -> None:
        self._lengths = lengths
        self._budget = budget
        self._seed = seed
        self._plans: dict[int, list[NDArray[np.int64]]] = {}

    def plan(self, epoch: int) -> list[NDArray[np.int64]]:
        """Numbers of the examples of each batch of an epoch."""
        if epoch not in self._plans:
            self._plans = {epoch: self._make_plan(epoch)}
        return self._plans[epoch]

    def _make_plan(self, epoch: int) -> list[NDArray[np.int64]]:
        lengths = self._lengths
        if self._seed is None:
            return _cut_by_budget(np.argsort(lengths, kind="stable"), lengths, self._budget)
        random = np.random.default_rng([self._seed, epoch])
        order = random.permutation(len(lengths))
        pool = max(1, int(self._budget * _POOL_BATCHES / lengths.mean()))
        plan: list[NDArray[np.int64]] = []
        for begin in range(0, len(order), pool):
            indices = order[begin : begin + pool]
            cut = _cut_by_budget(indices[np.argsort(lengths[indices], kind="stable")], lengths, self._budget)
            plan.extend(cut[index] for index in random.permutation(len(cut)))
        return plan


class SentenceBatches:
    """Single sentences, each from a fresh state, in random order.

    Args:
        corpus: the sentences.
        vocabulary: knows ``<s>`` and ``</s>``.
        budget: most tokens of a batch, padding included; a longer sentence makes a batch of its own.
        seed: of the order; None keeps the sentences in order of length (validation).
    """

    carries_state = False

    def __init__(self, corpus: TokenCorpus, vocabulary: Vocabulary, budget: int, seed: int | None) -> None:
        self._corpus = corpus
        self._vocabulary = vocabulary
        self._buckets = LengthBuckets(corpus.lengths + 1, budget, seed)

    def count(self, epoch: int) -> int:
        return len(self._buckets.plan(epoch))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for indices in self._buckets.plan(epoch)[start:]:
            yield self._batch(indices)

    def _batch(self, indices: NDArray[np.int64]) -> Batch:
        return sentence_batch([self._corpus[index] for index in indices], self._vocabulary)


def sentence_batch(sentences: Sequence[Tokens], vocabulary: Vocabulary) -> Batch:
    """Sentences, at least one, as the rows of a batch."""
    width = max(map(len, sentences)) + 1
    inputs = torch.full((len(sentences), width), vocabulary.eos_id)
    targets = torch.full((len(sentences), width), IGNORED)
    for row, (read, predicted) in enumerate(map(vocabulary.frame, sentences)):
        inputs[row, : len(read)] = torch.from_numpy(read)
        targets[row, : len(predicted)] = torch.from_numpy(predicted)
    return Batch(inputs, targets)


def _cut_by_budget(order: NDArray[np.int64], lengths: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    """Cut indices, sorted by length, into batches of at most ``budget`` tokens when padded to their last."""
    cuts, begin = [0], 0
    for position, length in enumerate(lengths[order].tolist()):
        if position > begin and length * (position - begin + 1) > budget:
            cuts.append(position)
            begin = position
    return np.split(order, cuts[1:])


class _ConsecutiveText:
    """The sentences of a corpus as one text, in which the end of each is the beginning of the next."""

    def __init__(self, corpus: TokenCorpus, vocabulary: Vocabulary) -> None:
        self._corpus = corpus
        self._vocabulary = vocabulary
        self._ends = corpus.offsets[1:] + np.arange(len(corpus))
        self.length: int = len(corpus.tokens) + len(corpus)

    def read(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the positions ``first`` to ``last - 1``; past the end of the text is padding."""
        position = np.arange(first - 1, last)
        is_padding = position >= self.length
        position = np.minimum(position, self.length - 1)
        sentence = np.searchsorted(self._ends, position)
        is_end = self._ends[sentence] == position
        index = np.where(is_end, 0, position - sentence)
        token = self._corpus.tokens[np.maximum(index, 0)].astype(np.int64)
        targets = np.where(is_padding, IGNORED, np.where(is_end, self._vocabulary.eos_id, token))
        begins = is_end | (position < 0)
        inputs = np.where(begins, self._vocabulary.bos_id, token)
        return torch.from_numpy(inputs[:-1]), torch.from_numpy(targets[1:])


class StreamBatches:
    """The text as parallel streams read from left to right, ``steps`` tokens at a time (truncated BPTT).

    Args:
        corpus: sentences in order.
        vocabulary: knows ``<s>`` and ``</s>``.
        streams: rows of a batch; the text is cut into so many parts of one length, the last of them padded.
        steps: tokens of each row.
    """

    carries_state = True

    def __init__(self, corpus: TokenCorpus, vocabulary: Vocabulary, streams: int, steps: int) -> None:
        self._text = _ConsecutiveText(corpus, vocabulary)
        self._streams = max(1, min(streams, self._text.length))
        self._steps = steps
        self._width = -(-self._text.length // self._streams)

    def count(self, epoch: int) -> int:
        return -(-self._width // self._steps)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for number in range(start, self.count(epoch)):
            first = number * self._steps
            last = min(first + self._steps, self._width)
            begins = range(0, self._streams * self._width, self._width)
            rows = [self._text.read(begin + first, begin + last) for begin in begins]
            yield Batch(*map(torch.stack, zip(*rows, strict=True)))


class WindowBatches:
    """Windows of the text in random order, for networks that carry no state from one to the next.

    Every epoch cuts the text at other places, so that no word always stands at the same place of a window, behind the
    same context. The pieces at both ends of the text are shorter than a window, and padded.

    The first epochs may read shorter windows: 32 tokens, then 64, and so on, each for as many epochs (Press, Smith,
    Lewis: Shortformer, 2021). Attention begins by looking everywhere alike; among few words it soon learns that the
    last ones matter, among 512 they are drowned.

    Args:
        corpus: sentences in order.
        vocabulary: knows ``<s>`` and ``</s>``.
        tokens: of a batch.
        steps: tokens of a window.
        seed: of the cuts and the order.
        short_epochs: epochs with shorter windows.
    """

    carries_state = False

    def __init__(
        self,
        corpus: TokenCorpus,
        vocabulary: Vocabulary,
        tokens: int,
        steps: int,
        seed: int,
        short_epochs: float = 0.0,
    ) -> None:
        self._text = _ConsecutiveText(corpus, vocabulary)
        self._tokens = tokens
        self._steps = steps
        self._seed = seed
        self._short_epochs = short_epochs

    def steps(self, epoch: int) -> int:
        """Tokens of a window in an epoch."""
        doubled = (_SHORTEST_WINDOW << times for times in itertools.count())
        shorter = list(itertools.takewhile(lambda length: length < self._steps, doubled))
        if epoch >= self._short_epochs or not shorter:
            return self._steps
        return shorter[int(epoch / self._short_epochs * len(shorter))]

    def count(self, epoch: int) -> int:
        return -(-len(self._windows(epoch)) // self._rows(epoch))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        windows, rows, steps = self._windows(epoch), self._rows(epoch), self.steps(epoch)
        for number in range(start * rows, len(windows), rows):
            read = [self._read(begin, end, steps) for begin, end in windows[number : number + rows]]
            yield Batch(*map(torch.stack, zip(*read, strict=True)))

    def _rows(self, epoch: int) -> int:
        return max(1, self._tokens // self.steps(epoch))

    def _windows(self, epoch: int) -> list[tuple[int, int]]:
        """Begin and end of the windows of an epoch, in its order."""
        random, steps = np.random.default_rng([self._seed, epoch]), self.steps(epoch)
        first = int(random.integers(1, steps + 1))
        cuts = [0, *range(first, self._text.length, steps), self._text.length]
        windows = list(itertools.pairwise(cuts))
        return [windows[index] for index in random.permutation(len(windows))]

    def _read(self, begin: int, end: int, steps: int) -> tuple[Tensor, Tensor]:
        inputs, targets = self._text.read(begin, begin + steps)
        targets[end - begin :] = IGNORED
        return inputs, targets


class NoisyBatches:
    """Batches in whose inputs a share of the words gives way to words drawn as often as they occur in the text.

    Unigram noising (Xie et al.: Data noising as smoothing in neural network language models, 2017, section 3.2). A
    network that reads a small text many times learns less of it by heart, since the same words seldom come before the
    same word again. Targets stay as they are, and so do ``<s>`` and padding.

    Args:
        batches: those without noise.
        share: of the words, 0 to 1.
        counts: how often each token occurs ``[vocabulary]``.
        vocabulary: knows ``<s>`` and ``</s>``.
        seed: of the noise, which depends on it, the epoch and the number of the batch alone.
    """

    def __init__(
        self, batches: BatchSource, share: float, counts: NDArray[np.int64], vocabulary: Vocabulary, seed: int
    ) -> None:
        self.carries_state = batches.carries_state
        self._batches = batches
        self._share = share
        self._seed = seed
        self._kept = [vocabulary.bos_id, vocabulary.eos_id]
        counts = counts.copy()
        counts[self._kept] = 0
        self._below = np.cumsum(counts)
        self._words = max(int(self._below[-1]), 1)

    def count(self, epoch: int) -> int:
        return self._batches.count(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(self._batches.batches(epoch, start), start):
            random = np.random.default_rng([self._seed, epoch, number])
            inputs = batch.inputs.numpy()
            drawn = np.searchsorted(self._below, random.integers(self._words, size=inputs.shape), side="right")
            is_replaced = (random.random(inputs.shape) < self._share) & ~np.isin(inputs, self._kept)
            yield replace(batch, inputs=torch.from_numpy(np.where(is_replaced, drawn, inputs)))
