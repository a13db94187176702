"""Choosing one hypothesis of each list.

``best`` takes the largest total. Minimum Bayes risk takes the hypothesis with the fewest expected word errors, the
expectation being over the list's own posterior (Stolcke, König and Weintraub, Explicit Word Error Minimization in
N-best List Rescoring, Eurospeech 1997, equations 1 and 2; Goel and Byrne, Minimum Bayes-Risk Automatic Speech
Recognition, Computer Speech and Language 2000).

Minimum Bayes risk compares each pair of distinct hypotheses of a list once: 1,300 lists of 100 take some six million
edit distances, a few seconds. ``mass`` bounds it: hypotheses beyond the given posterior mass are neither chosen nor
counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_lm.evaluation.roles import CORRECTED
from asr_lm.rescoring.features.lists import Lists, Rows, Values
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.weights import Weights

SCALES = tuple(2.0 ** (half / 2) for half in range(-8, 5))
"""Multiples of the fitted scale that are tried for minimum Bayes risk: 1/16 to 4."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """What weights choose.

    Attributes:
        totals: total score of each hypothesis ``[rows]``.
        posteriors: probability of each hypothesis within its list ``[rows]``.
        rows: the chosen row of each utterance ``[utterances]``.
    """

    totals: Values
    posteriors: Values
    rows: Rows

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
        return Decisions(totals, posteriors, np.flatnonzero(kept)[part.rows])
    totals = weights.totals(table)
    posteriors = table.lists.softmax(weights.scale * totals)
    if weights.decision == "best":
        return Decisions(totals, posteriors, table.lists.best(totals))
    return Decisions(totals, posteriors, least_risk(table, posteriors[None], weights.mass)[0])


def choosable(table: FeatureTable, features: Sequence[str]) -> NDArray[np.bool_]:
    """Rows that a system with these features chooses from: those of correctors only if it weighs that ``[rows]``."""
    if CORRECTED not in table.names or CORRECTED in features:
        return np.ones(len(table.texts), dtype=bool)
    return table.column(CORRECTED) == 0


def tune_decision(weights: Weights, table: FeatureTable, mass: float = 1.0) -> Weights:
    """The same weights with minimum Bayes risk and the scale at which it does best on a development list.

    Of scales with equal errors the one nearest the fitted scale is taken.

    Args:
        weights: as :func:`asr_lm.rescoring.tuning.tune.tune` gives them, with a fitted scale.
        table: the development list.
        mass: see :class:`Weights`.

    Returns:
        Weights whose ``dev["wer"]`` is that of minimum Bayes risk; it may be above that of ``weights``.

    Raises:
        InputError: no utterance has a reference, or the table lacks a weighted feature.
    """
    development = table.select_utterances(table.referenced)
    totals = weights.totals(development)
    posteriors = np.stack([development.lists.softmax(factor * weights.scale * totals) for factor in SCALES])
    errors = [development.word_errors(rows) for rows in least_risk(development, posteriors, mass)]
    best = min(range(len(SCALES)), key=lambda number: (errors[number].errors, abs(np.log(SCALES[number]))))
    return weights.replaced(
        decision="mbr",
        mass=mass,
        scale=SCALES[best] * weights.scale,
        dev=weights.dev | {"wer": float(errors[best].rate or 0.0)},
    )


def least_risk(table: FeatureTable, posteriors: NDArray[np.float64], mass: float = 1.0) -> NDArray[np.int64]:
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
    kept[order] = before - lists.spread(before[lists.starts]) < mass
    return kept
