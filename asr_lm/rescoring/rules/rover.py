"""ROVER over one list: the hypotheses vote on every word, each with its posterior.

The voting is that of Fiscus 1997 (:mod:`asr_lm.rescoring.voting`). With the lists of several recognisers joined, their
hypotheses vote together, each recogniser as much as its scores weigh. Over a lattice the same is a confusion network,
whose slots take the likeliest word (Mangu, Brill and Stolcke, Finding consensus in speech recognition, Computer Speech
and Language 2000).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from asr_lm.lattice.confusion_network import confusion_network
from asr_lm.lattice.lattice import Floats, Lattice
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.rules.mbr import MinimumBayesRisk
from asr_lm.rescoring.rules.rule import Choice, Rule
from asr_lm.rescoring.voting import Word, rover
from asr_lm.rescoring.weights import Weights

VOTERS = 20
"""Hypotheses of a list that vote, the most probable ones: what is left beyond them changes no vote that is not tied."""

LEAST_POSTERIOR = 0.01
"""Words of a confusion network below this posterior are left out."""


class Rover(Rule):
    """Takes the words on which the hypotheses agree; the text need not be one of them."""

    name = "rover"
    title = "ROVER"
    about = "the words that the hypotheses agree on, each voting with its posterior (ROVER); may be a new text"
    lattice_title = "lattice, confusion network"

    def tune(self, weights: Weights, table: FeatureTable) -> Weights:
        """The scale of the posteriors that suits minimum Bayes risk, which weighs the same votes."""
        return MinimumBayesRisk().tune(weights, table).replaced(decision=self.name)

    def choose(self, table: FeatureTable, weights: Weights) -> Choice:
        """See :meth:`Rule.choose`."""
        totals = weights.totals(table)
        posteriors = table.lists.softmax(weights.scale * totals)
        texts = tuple(
            _vote(table.texts[start:end], posteriors[start:end]) for start, end in pairwise(table.offsets.tolist())
        )
        return Choice(table.lists.best(totals), texts)

    def words(self, lattice: Lattice, totals: Floats) -> str:
        """See :meth:`Rule.words`."""
        return confusion_network(lattice, totals, LEAST_POSTERIOR).text()


def _vote(texts: tuple[str, ...], posteriors: Values) -> str:
    """The text that a list agrees on; hypotheses of equal words are one voter."""
    weights: dict[str, float] = {}
    for row in np.argsort(-posteriors, kind="stable").tolist():
        text = " ".join(texts[row].split())
        weights[text] = weights.get(text, 0.0) + float(posteriors[row])
    voters = dict(sorted(weights.items(), key=lambda item: -item[1])[:VOTERS])
    return " ".join(rover([[Word(word) for word in text.split()] for text in voters], weights=list(voters.values())))
