"""What weights choose of a list: totals, posteriors, and the text that the decision rule takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.rescoring.features.lists import Lists, Rows, Values
from asr_lm.rescoring.features.table import CORRECTED_TEXT, PHRASE_LETTERS, FeatureTable
from asr_lm.rescoring.rules.registry import rule
from asr_lm.rescoring.rules.rule import Choice
from asr_lm.rescoring.weights import Weights


@dataclass(frozen=True, eq=False)
class Decisions:
    """What weights choose.

    Attributes:
        totals: total score of each hypothesis ``[rows]``.
        posteriors: probability of each hypothesis within its list ``[rows]``.
        choice: what the decision rule took of each list.
    """

    totals: Values
    posteriors: Values
    choice: Choice

    @property
    def rows(self) -> Rows:
        """The chosen row of each utterance ``[utterances]``."""
        return self.choice.rows

    def order(self, lists: Lists) -> Rows:
        """All rows, list by list, the chosen one first and the others by falling total ``[rows]``; ties by rank."""
        later = np.ones(len(self.totals), dtype=bool)
        later[self.rows] = False
        return np.lexsort((-self.totals, later, lists.list_of_row))


def apply(weights: Weights, table: FeatureTable) -> Decisions:
    """Total scores, posteriors and the choice, by the decision rule the weights name.

    Where the weights know nothing of corrections, hypotheses that a corrector wrote are never chosen: their total is
    minus infinity.

    Raises:
        InputError: the table lacks a weighted feature.
    """
    kept = choosable(table, weights.features)
    if not kept.all():
        part = apply(weights, table.select_rows(kept))
        totals, posteriors = np.full(len(kept), -np.inf), np.zeros(len(kept))
        totals[kept], posteriors[kept] = part.totals, part.posteriors
        return Decisions(totals, posteriors, Choice(np.flatnonzero(kept)[part.rows], part.choice.texts))
    totals = weights.totals(table)
    return Decisions(totals, table.lists.softmax(weights.scale * totals), rule(weights.decision).choose(table, weights))


def choosable(table: FeatureTable, features: Sequence[str]) -> NDArray[np.bool_]:
    """Rows that a system with these features chooses from ``[rows]``.

    Those of correctors and those made from near misses of phrases only if it weighs what is risked with them.
    """
    kept = np.ones(len(table.texts), dtype=bool)
    for name in (CORRECTED_TEXT, PHRASE_LETTERS):
        if name in table.names and name not in features:
            kept &= table.column(name) == 0
    return kept


def choosable_table(table: FeatureTable, features: Sequence[str]) -> FeatureTable:
    """The hypotheses that a system with these features chooses from."""
    kept = choosable(table, features)
    return table if kept.all() else table.select_rows(kept)
