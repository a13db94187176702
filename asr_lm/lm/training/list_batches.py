"""Batches of whole n-best lists, for networks that learn to choose from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.lm.training.batches import IGNORED, Batch, LengthBuckets
from asr_lm.text.vocabulary import Tokens, Vocabulary


@dataclass(frozen=True)
class EncodedList:
    """Attributes: token ids of the distinct hypotheses, their word errors, token ids of the reference."""

    hypotheses: list[Tokens]
    errors: NDArray[np.int64]
    reference: Tokens


@dataclass(frozen=True)
class ListBatch(Batch):
    """Whole lists: first a row for each hypothesis, then one for each list's reference.

    Only references have targets; the last token of a row is read, too, since the choice is made there.

    Attributes:
        last: where each hypothesis ends in its row ``[hypotheses]``.
        errors: its word errors ``[hypotheses]``.
        owner: number of its list in the batch ``[hypotheses]``.
    """

    last: Tensor
    errors: Tensor
    owner: Tensor

    @property
    def tokens(self) -> int:
        """Number of lists: the loss is their sum."""
        return len(self.inputs) - len(self.owner)


class ListBatches:
    """Lists in random order, those of like size together.

    Args:
        lists: the lists.
        vocabulary: knows ``<s>`` and ``</s>``.
        budget: most tokens of a batch, padding included; a larger list makes a batch of its own.
        seed: of the order; None keeps the lists in order of size (validation).
    """

    carries_state = False

    def __init__(self, lists: Sequence[EncodedList], vocabulary: Vocabulary, budget: int, seed: int | None) -> None:
        self._lists = lists
        self._vocabulary = vocabulary
        sizes = [(len(some.hypotheses) + 1) * (2 + max(map(len, [some.reference, *some.hypotheses]))) for some in lists]
        self._buckets = LengthBuckets(np.array(sizes, dtype=np.int64), budget, seed)

    def count(self, epoch: int) -> int:
        return len(self._buckets.plan(epoch))

    def batches(self, epoch: int, start: int = 0) -> Iterator[ListBatch]:
        for numbers in self._buckets.plan(epoch)[start:]:
            yield self._batch([self._lists[number] for number in numbers])

    def _batch(self, lists: Sequence[EncodedList]) -> ListBatch:
        sentences = [tokens for some in lists for tokens in some.hypotheses]
        hypotheses = len(sentences)
        sentences += [some.reference for some in lists]
        inputs = torch.full((len(sentences), max(map(len, sentences)) + 2), self._vocabulary.eos_id)
        targets = torch.full_like(inputs, IGNORED)
        for row, (begun, predicted) in enumerate(map(self._vocabulary.frame, sentences)):
            # A hypothesis is read up to its </s>, which stands where the row is filled up with it anyway.
            inputs[row, : len(begun)] = torch.from_numpy(begun)
            if row >= hypotheses:
                targets[row, : len(predicted)] = torch.from_numpy(predicted)
        last = torch.tensor([len(tokens) + 1 for tokens in sentences[:hypotheses]])
        errors = torch.from_numpy(np.concatenate([some.errors for some in lists])).float()
        owner = torch.repeat_interleave(torch.tensor([len(some.hypotheses) for some in lists]))
        return ListBatch(inputs, targets, last, errors, owner)
