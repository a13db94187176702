"""Minimum Bayes risk: the hypothesis with the fewest expected word errors.

The expectation is over the list's own posterior (Stolcke, König and Weintraub, Explicit Word Error Minimization in
N-best List Rescoring, Eurospeech 1997, equations 1 and 2; Goel and Byrne, Minimum Bayes-Risk Automatic Speech
Recognition, Computer Speech and Language 2000).

Each pair of distinct hypotheses of a list is compared once: 1,300 lists of 100 take some six million edit distances, a
few seconds. ``mass`` bounds it: hypotheses beyond the given posterior mass are neither chosen nor counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.lattice import Floats, Lattice
from asr_lm.lattice.minimum_bayes_risk import mbr_hypothesis
from asr_lm.rescoring.features.lists import Lists, Values
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.rules.rule import Choice, Rule
from asr_lm.rescoring.rules.scales import SCALES, best_scale, posteriors_at
from asr_lm.rescoring.weights import Weights


class MinimumBayesRisk(Rule):
    """Takes the hypothesis, or the words of a lattice, with the fewest expected word errors."""

    name = "mbr"
    title = "minimum Bayes risk"
    about = "the hypothesis with the fewest expected word errors (minimum Bayes risk)"
    lattice_title = "lattice, minimum Bayes risk"

    def tune(self, weights: Weights, table: FeatureTable) -> Weights:
        """The scale of the posteriors at which it makes the fewest errors; of equal ones the nearest to the fitted one.

        ``dev["wer"]`` is then that of minimum Bayes risk; it may be above that of ``weights``.
        """
        development = table.select_utterances(table.referenced)
        rows = mbr_rows(development, posteriors_at(SCALES, weights, development), weights.mass)
        errors = [development.word_errors(chosen) for chosen in rows]
        return best_scale(weights, self.name, [(found.errors, found.rate) for found in errors])

    def choose(self, table: FeatureTable, weights: Weights) -> Choice:
        """See :meth:`Rule.choose`."""
        posteriors = table.lists.softmax(weights.scale * weights.totals(table))
        return Choice(mbr_rows(table, posteriors[None], weights.mass)[0])

    def words(self, lattice: Lattice, totals: Floats) -> str:
        """See :meth:`Rule.words`; :mod:`asr_lm.lattice.minimum_bayes_risk`."""
        return mbr_hypothesis(lattice, totals).text(lattice)


def mbr_rows(table: FeatureTable, posteriors: NDArray[np.float64], mass: float = 1.0) -> NDArray[np.int64]:
    """Row with the fewest expected word errors of each list, for several posteriors at once.

    Of rows with equal risk the first is taken. Word errors are counted between the texts of the hypotheses, white
    space collapsed and nothing else.

    Args:
        table: gives lists and texts.
        posteriors: probability of each hypothesis within its list ``[posteriors, rows]``.
        mass: only the most probable rows of a list that together reach this probability are considered.

    Returns:
        ``[posteriors, utterances]``.
    """
    kept = np.stack([most_probable(table.lists, row, mass) for row in posteriors])
    weighted = np.where(kept, posteriors, 0.0)
    chosen = np.empty((len(posteriors), len(table.utterances)), dtype=np.int64)
    for number, (start, end) in enumerate(pairwise(table.offsets.tolist())):
        rows = np.flatnonzero(kept[:, start:end].any(0))
        risks = _risks([table.texts[start + row] for row in rows.tolist()], weighted[:, start + rows])
        risks[~kept[:, start + rows]] = np.inf
        lowest = risks.min(1, keepdims=True)
        # Equal risks are summed in different orders: what rounding adds must not break the tie.
        chosen[:, number] = start + rows[(risks <= lowest + 1e-9).argmax(1)]
    return chosen


def _risks(texts: Sequence[str], posteriors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected word errors of each text if each is right with its posterior ``[posteriors, texts]``."""
    sentences: dict[str, int] = {}
    number_of = np.array([sentences.setdefault(" ".join(text.split()), len(sentences)) for text in texts])
    merged = np.zeros((len(posteriors), len(sentences)))
    np.add.at(merged.T, number_of, posteriors.T)
    return (merged @ word_distances(list(sentences)))[:, number_of]


def word_distances(sentences: Sequence[str]) -> NDArray[np.int32]:
    """Word errors between each two sentences ``[sentences, sentences]``."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    # One character a word: rapidfuzz compares strings in place, and sequences of anything else through their hashes.
    letters: dict[str, str] = {}
    coded = ["".join(letters.setdefault(word, _letter(len(letters))) for word in text.split()) for text in sentences]
    return cdist(coded, coded, scorer=Levenshtein.distance, dtype=np.int32)


def _letter(number: int) -> str:
    """A character for each number; surrogates are no characters."""
    return chr(number if number < 0xD800 else number + 0x800)


def most_probable(lists: Lists, posteriors: Values, mass: float) -> NDArray[np.bool_]:
    """Which rows are among the most probable of their list that together reach ``mass`` ``[rows]``."""
    if mass >= 1:
        return np.ones(len(posteriors), dtype=bool)
    order = np.lexsort((-posteriors, lists.list_of_row))
    running = np.cumsum(posteriors[order])
    before = running - posteriors[order]
    kept = np.empty(len(posteriors), dtype=bool)
    kept[order] = before - lists.per_row(before[lists.starts]) < mass
    return kept
