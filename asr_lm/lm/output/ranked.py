"""What output layers that go by the frequency of words have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.output.layer import OutputLayer


class RankedOutput(OutputLayer):
    """An output layer whose words are ordered from the most frequent to the rarest.

    Attributes:
        rank: place of every token in that order ``[vocabulary]``; kept with the weights, as scores depend on it.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.rank = nn.Parameter(torch.arange(vocabulary_size), requires_grad=False)

    @torch.no_grad()
    def prepare(self, counts: Tensor) -> None:
        self.rank.copy_(by_frequency(counts).argsort())

    def check(self) -> None:
        if not torch.equal(self.rank.sort().values, torch.arange(len(self.rank), device=self.rank.device)):
            raise InputError("these ranks are no order of the tokens", field="rank")


def by_frequency(counts: Tensor) -> Tensor:
    """Token ids from the most frequent to the rarest ``[vocabulary]``; those of equal counts in order."""
    return counts.argsort(descending=True, stable=True)
