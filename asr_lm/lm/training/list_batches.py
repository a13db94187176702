"""Batches of n-best lists, for models that learn which hypothesis of a list to prefer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.training.batches import IGNORED, Batch, LengthBuckets, SentenceBatches, sentence_batch
from asr_lm.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class WeighedList:
    """What is known of a list before a model is fine-tuned on it.

    Attributes:
        reference: what was said, normalised for the model.
        heard: the whole list, normalised for the model, the recogniser's first choice first.
        hypotheses: those that are learnt from.
        errors: of each hypothesis ``[hypotheses]``.
        fixed: scaled sum of its weighted scores but that of the model ``[hypotheses]``; only differences count.
        before: scaled total under the model as it was ``[hypotheses]``.
    """

    reference: str
    heard: tuple[str, ...]
    hypotheses: tuple[str, ...]
    errors: NDArray[np.float64]
    fixed: NDArray[np.float64]
    before: NDArray[np.float64]

    @property
    def tells(self) -> bool:
        """Whether the errors of the hypotheses differ, so that there is something to prefer."""
        return bool(self.errors.min() < self.errors.max())

    def only(self, chosen: NDArray[np.int64]) -> WeighedList:
        """The list of some of its hypotheses, by number."""
        kept = {name: getattr(self, name)[chosen] for name in ("errors", "fixed", "before")}
        return replace(self, hypotheses=tuple(self.hypotheses[number] for number in chosen.tolist()), **kept)


def nothing_to_learn() -> InputError:
    """The error of lists none of which :attr:`tells <WeighedList.tells>` anything."""
    return InputError("no list has hypotheses that differ in their errors, so there is nothing to learn from")


@dataclass(frozen=True)
class ListBatch(Batch):
    """Some lists: hypotheses list after list, of which equal texts are read once.

    ``inputs`` and ``targets`` are those of :attr:`read`.

    Attributes:
        read: the distinct texts.
        said: the references, and text that the likelihood is of.
        rows: row of :attr:`read` of each hypothesis ``[hypotheses]``.
        fixed, errors: see :class:`WeighedList` ``[hypotheses]``; ``fixed`` less its largest in each list.
        lengths: number of hypotheses of each list ``[lists]``.
    """

    read: Batch
    said: Batch
    rows: Tensor
    fixed: Tensor
    errors: Tensor
    lengths: Tensor

    @property
    def units(self) -> int:
        """Number of lists."""
        return len(self.lengths)


Rows = Callable[[Sequence[WeighedList], Sequence[Sequence[str]]], Batch]
"""Makes the rows of a batch, given lists, and some texts for each of them."""


def text_rows(vocabulary: Vocabulary) -> Rows:
    """Rows of a language model, which reads a text and nothing else."""

    def rows(lists: Sequence[WeighedList], texts: Sequence[Sequence[str]]) -> Batch:
        del lists
        return sentence_batch(vocabulary.encode_batch([text for some in texts for text in some]), vocabulary)

    return rows


class ListBatches:
    """Lists in random order, those of like size together.

    Args:
        lists: what is learnt from; at least one.
        rows: how texts become rows.
        vocabulary: of the model.
        budget: most tokens of the hypotheses of a batch, padding included; a larger list makes a batch of its own.
        most: hypotheses of a list that are read, drawn anew in every epoch.
        seed: of order and draws; None keeps lists in order of size and takes the most probable (validation).
        text: sentences that join the references, some with every batch, over and over.
    """

    carries_state = False

    def __init__(
        self,
        lists: Sequence[WeighedList],
        rows: Rows,
        vocabulary: Vocabulary,
        budget: int,
        most: int,
        seed: int | None,
        text: SentenceBatches | None = None,
    ) -> None:
        self._lists, self._rows, self._most, self._seed, self._text = lists, rows, most, seed, text
        lengths = [max(map(len, vocabulary.encode_batch(some.hypotheses))) + 1 for some in lists]
        sizes = [length * min(most, len(some.hypotheses)) for length, some in zip(lengths, lists, strict=True)]
        self._buckets = LengthBuckets(np.array(sizes, dtype=np.int64), budget, seed)

    def count(self, epoch: int) -> int:
        return len(self._buckets.plan(epoch))

    def batches(self, epoch: int, start: int = 0) -> Iterator[ListBatch]:
        for place, numbers in enumerate(self._buckets.plan(epoch)[start:], start):
            batch = self._batch([self._lists[number].only(self._drawn(epoch, number)) for number in numbers.tolist()])
            if self._text is not None and self._seed is not None:
                batch = replace(batch, said=_together(batch.said, self._text_batch(epoch, place)))
            yield batch

    def _drawn(self, epoch: int, number: int) -> NDArray[np.int64]:
        """The hypotheses of a list that are read, in its own order."""
        scores = self._lists[number].before
        if len(scores) <= self._most:
            return np.arange(len(scores))
        if self._seed is not None:
            scores = scores + np.random.default_rng([self._seed, epoch, number]).gumbel(size=len(scores))
        return np.sort(np.argsort(-scores, kind="stable")[: self._most])

    def _batch(self, lists: Sequence[WeighedList]) -> ListBatch:
        distinct = [list(dict.fromkeys(some.hypotheses)) for some in lists]
        begins = np.cumsum([0, *map(len, distinct)]).tolist()
        rows = [
            begin + texts.index(text)
            for begin, texts, some in zip(begins, distinct, lists, strict=False)
            for text in some.hypotheses
        ]
        read = self._rows(lists, distinct)
        return ListBatch(
            read.inputs,
            read.targets,
            read,
            self._rows(lists, [[some.reference] for some in lists]),
            torch.tensor(rows),
            # What lists differ by would take the digits that hypotheses differ by.
            torch.from_numpy(np.concatenate([some.fixed - some.fixed.max() for some in lists])),
            torch.from_numpy(np.concatenate([some.errors for some in lists])),
            torch.tensor([len(some.hypotheses) for some in lists]),
        )

    def _text_batch(self, epoch: int, place: int) -> Batch:
        """The text that goes with a batch: it begins again where it ends."""
        assert self._text is not None
        passed, number = divmod(epoch * self.count(0) + place, self._text.count(0))
        return next(iter(self._text.batches(passed, min(number, self._text.count(passed) - 1))))


def _together(one: Batch, other: Batch) -> Batch:
    """The rows of two batches of plain text."""
    width = max(one.inputs.shape[1], other.inputs.shape[1])
    sides = [[_widened(part.inputs, width, 0), _widened(part.targets, width, IGNORED)] for part in (one, other)]
    return Batch(*(torch.cat(side) for side in zip(*sides, strict=True)))


def _widened(rows: Tensor, width: int, padding: int) -> Tensor:
    return nn.functional.pad(rows, (0, width - rows.shape[1]), value=padding)
