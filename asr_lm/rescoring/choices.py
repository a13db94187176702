"""A list with all its features, and what each system chose of every utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_lm.evaluation.roles import FIRST_PASS, ORACLE
from asr_lm.rescoring.decisions import Decisions, choosable
from asr_lm.rescoring.features.lists import Rows
from asr_lm.rescoring.features.table import FeatureTable


@dataclass(frozen=True, eq=False)
class Choices:
    """A list with all its features, and the hypothesis that each system chose of each utterance.

    Attributes:
        table: features and errors of all hypotheses.
        references: what was said ``[utterances]``; None where it is not known.
        rows: chosen rows of the table by system, first pass and oracle among them ``[utterances]``.
        texts: what a system says whose rule writes texts that need not be hypotheses, by system ``[utterances]``.
    """

    table: FeatureTable
    references: tuple[str | None, ...]
    rows: Mapping[str, Rows]
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: FeatureTable, references: Sequence[str | None], decisions: Mapping[str, Decisions]) -> Choices:
        """What systems decided, between the first pass and the oracle."""
        heard = choosable(table, ())
        oracle = table.lists.best(np.where(heard, -table.errors.sum(1).astype(float), -np.inf))
        rows = {name: decision.rows for name, decision in decisions.items()}
        written = {name: found.choice.texts for name, found in decisions.items() if found.choice.texts is not None}
        return cls(table, tuple(references), {FIRST_PASS: table.lists.starts, **rows, ORACLE: oracle}, written)

    def said(self, system: str) -> list[str]:
        """The text that a system chose of each utterance ``[utterances]``."""
        if system in self.texts:
            return list(self.texts[system])
        return [self.table.texts[row] for row in self.rows[system].tolist()]

    @classmethod
    def concatenate(cls, parts: Sequence[Choices]) -> Choices:
        """The utterances of several parts of one list (at least one), in order."""
        table = FeatureTable.concatenate([part.table for part in parts])
        begins = np.cumsum([0, *(len(part.table.texts) for part in parts[:-1])])
        rows = {
            name: np.concatenate([part.rows[name] + begin for part, begin in zip(parts, begins, strict=True)])
            for name in parts[0].rows
        }
        texts = {name: tuple(text for part in parts for text in part.texts[name]) for name in parts[0].texts}
        return cls(table, tuple(reference for part in parts for reference in part.references), rows, texts)
