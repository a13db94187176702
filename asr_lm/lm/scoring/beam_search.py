"""Beam search: the most probable sentences of a model that writes one token after another.

Sentences of a batch are searched together. In every step the ``width`` best of all continuations of a sentence's open
beginnings are kept; those that end are set aside, and the search of a sentence is over once no open beginning is more
probable than the worst of the ``best`` sentences wanted (an addition can only lower a log-probability). Width 1 is
greedy search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from asr_lm.lm.scoring.conditional import Written


class Writer(Protocol):
    """What can be searched; everything it remembers of a beginning is a row of ``state``."""

    def step(self, owner: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Read one more token of several beginnings.

        Args:
            owner: number of the sentence each beginning belongs to ``[rows]``.
            tokens: the last token of each, ``<s>`` at first ``[rows]``.
            state: what was remembered after the tokens before ``[rows, …]``.

        Returns:
            Log-probability of every next token ``[rows, vocabulary]``, and the new states ``[rows, …]``.
        """


@torch.inference_mode()
def beam_search(
    writer: Writer,
    start: Tensor,
    longest: Sequence[int],
    *,
    bos: int,
    eos: int,
    width: int,
    best: int = 1,
    forbidden: Sequence[int] = (),
) -> list[list[Written]]:
    """The ``best`` most probable sentences that a beam of ``width`` finds, for each sentence of a batch.

    Args:
        writer: the model.
        start: first states ``[sentences, …]``.
        longest: most tokens of each sentence; one that reached it has to end.
        bos, eos: ids of ``<s>`` and ``</s>``.
        width: beginnings kept open, at least ``best``.
        best: sentences wanted.
        forbidden: tokens that are never written.

    Returns:
        For each sentence at most ``best``, the most probable first; at least one.
    """
    search = _Search(start, list(longest), bos, eos, max(width, best), best, list(forbidden))
    while len(search.owner):
        log_probs, state = writer.step(search.owner, search.tokens, search.state)
        search.extend(log_probs, state)
    return search.found()


class _Search:
    """Open beginnings, as rows, and sentences that have ended.

    Attributes:
        owner, tokens, state: of each open beginning, as :meth:`Writer.step` takes them.
    """

    def __init__(
        self, start: Tensor, longest: list[int], bos: int, eos: int, width: int, best: int, forbidden: list[int]
    ) -> None:
        self._longest = torch.tensor(longest, device=start.device)
        self._eos, self._width, self._best, self._forbidden = eos, width, best, forbidden
        self._ended: list[list[Written]] = [[] for _ in longest]
        self._written = torch.zeros(len(longest), 0, dtype=torch.int64, device=start.device)
        self._totals = torch.zeros(len(longest), dtype=torch.float64, device=start.device)
        self.owner = torch.arange(len(longest), device=start.device)
        self.tokens = torch.full_like(self.owner, bos)
        self.state = start

    def extend(self, log_probs: Tensor, state: Tensor) -> None:
        """Keep the best continuations of all beginnings."""
        totals = self._totals[:, None] + self._allowed(log_probs).double()
        rows, tokens, totals = self._best_of_each(totals)
        ending = tokens == self._eos
        self._set_aside(rows[ending], totals[ending])
        rows, tokens, totals = rows[~ending], tokens[~ending], totals[~ending]
        open_ = self._still_open(self.owner[rows], totals)
        rows, self.tokens, self._totals = rows[open_], tokens[open_], totals[open_]
        self._written = torch.cat([self._written[rows], self.tokens[:, None]], dim=1)
        self.owner, self.state = self.owner[rows], state[rows]

    def _allowed(self, log_probs: Tensor) -> Tensor:
        log_probs = log_probs.clone()
        log_probs[:, self._forbidden] = -torch.inf
        full = self._longest[self.owner] <= self._written.shape[1]
        ends = log_probs[full, self._eos]
        log_probs[full] = -torch.inf
        log_probs[full, self._eos] = ends
        return log_probs

    def _best_of_each(self, totals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row, token and total of the ``width`` best possible continuations of each sentence, best first."""
        # Rows of a sentence are neighbours: they become one line of a table that is padded with the impossible.
        sentences, counts = torch.unique_consecutive(self.owner, return_counts=True)
        first = counts.cumsum(0) - counts
        place = torch.arange(len(self.owner), device=totals.device) - first.repeat_interleave(counts)
        line = torch.arange(len(sentences), device=totals.device).repeat_interleave(counts)
        vocabulary = totals.shape[1]
        table = totals.new_full((len(sentences), int(counts.max()), vocabulary), -torch.inf)
        table[line, place] = totals
        table = table.flatten(1)
        values, chosen = table.topk(min(self._width, table.shape[1]), dim=1)
        rows = first[:, None] + chosen // vocabulary
        possible = values > -torch.inf
        return rows[possible], (chosen % vocabulary)[possible], values[possible]

    def _set_aside(self, rows: Tensor, totals: Tensor) -> None:
        written = self._written[rows].cpu().numpy().astype(np.int32)
        for owner, tokens, total in zip(self.owner[rows].tolist(), written, totals.tolist(), strict=True):
            ended = self._ended[owner]
            ended.append(Written(tokens, total))
            ended.sort(key=lambda sentence: -sentence.log_prob)
            del ended[self._best :]

    def _still_open(self, owner: Tensor, totals: Tensor) -> Tensor:
        """Which beginnings may still become one of the best sentences."""
        worst = [ended[-1].log_prob if len(ended) == self._best else -np.inf for ended in self._ended]
        return totals > torch.tensor(worst, dtype=torch.float64, device=totals.device)[owner]

    def found(self) -> list[list[Written]]:
        """What has ended, the most probable first."""
        return self._ended
