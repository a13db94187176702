"""The hypothesis with the largest total score: the likeliest sentence."""

from __future__ import annotations

from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.rules.rule import Choice, Rule
from asr_lm.rescoring.weights import Weights


class Best(Rule):
    """Takes the largest total; of equal ones the first."""

    name = "best"
    title = "best total"
    about = "the hypothesis with the largest total score"

    def tune(self, weights: Weights, table: FeatureTable) -> Weights:
        """See :meth:`Rule.tune`; the weights are all it needs."""
        return weights.replaced(decision=self.name)

    def choose(self, table: FeatureTable, weights: Weights) -> Choice:
        """See :meth:`Rule.choose`."""
        return Choice(table.lists.best(weights.totals(table)))
