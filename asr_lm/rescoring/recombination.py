"""How many last words tell histories apart, chosen on a development list.

Histories that end in the same words are read once (:mod:`asr_lm.hypotheses.recombination`): the fewer words, the
quicker, and the further are the scores from exact ones. The list is scored exactly and tuned once; then it is scored
again with 2 words, 3, and so on, which together take a fraction of that time, and the fewest are taken under which no
system's error rate moves by more than :data:`MOST_MOVED` with the weights of the exact scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from asr_lm.evaluation.word_errors import ErrorCounts, count_errors
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.weights import Weights
from asr_lm.text.normalizer import get_normalizer

TRIED = (2, 3, 4, 5, 6)
"""Numbers of words that are tried, in this order."""

MOST_MOVED = 0.05
"""Points of the error rate that it may move on the development list, up or down."""

WITHOUT_DEVELOPMENT = 4
"""Words where no list chooses: what a 5-gram remembers."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Recombination:
    """What a development list says of recombined histories.

    Attributes:
        words: so many last words tell histories apart; 0 is all of them, where every number moved too much.
        moved: by how many points the error rate moved with each number of words that was tried, that of the system
            where it moved most.
    """

    words: int
    moved: Mapping[int, float] = field(default_factory=dict)


def choose_recombination(
    models: Sequence[RescoringModel],
    exact: FeatureTable,
    weights: Mapping[str, Weights],
    references: Sequence[str],
    score: Callable[[], FeatureTable],
    measuring: Measuring,
) -> tuple[Recombination, FeatureTable]:
    """The fewest words that are enough, and the features with these.

    Args:
        models: all models; those that are to choose are left as was chosen.
        exact: features of the development list, all histories told apart.
        weights: of the systems whose error rates count, tuned on these features.
        references: of the list ``[utterances]``.
        score: makes the features again, as the models are then.
        measuring: how errors are counted.
    """
    rates = _error_rates(exact, weights, references, measuring)
    moved: dict[int, float] = {}
    for words in TRIED:
        _set(models, words)
        table = score()
        found = _error_rates(table, weights, references, measuring)
        moved[words] = max((found[name] - rates[name] for name in rates), key=abs, default=0.0)
        if abs(moved[words]) <= MOST_MOVED + _ROUNDING:
            return Recombination(words, moved), table
    _set(models, 0)
    return Recombination(0, moved), exact


def settle_recombination(models: Sequence[RescoringModel], weights: Weights | None) -> int | None:
    """Set models that are to choose as they were when ``weights`` were tuned, without any to a default.

    Returns:
        The number of words; None where no model chooses.
    """
    if not any(model.chooses_recombination for model in models):
        return None
    words = WITHOUT_DEVELOPMENT if weights is None else weights.recombined
    _set(models, words)
    return words


def _set(models: Sequence[RescoringModel], words: int) -> None:
    for model in models:
        if model.chooses_recombination:
            model.choose_recombination(words)


def _error_rates(
    table: FeatureTable, weights: Mapping[str, Weights], references: Sequence[str], measuring: Measuring
) -> dict[str, float]:
    """Errors a hundred words of what each system says of the list."""
    normalize = get_normalizer(measuring.normalizer)
    choices = Choices.of(table, references, {name: apply(found, table) for name, found in weights.items()})
    known = list(map(normalize, references))
    return {
        name: ErrorCounts.from_counts(
            count_errors(known, list(map(normalize, choices.said(name))), measuring.unit)
        ).rate
        or 0.0
        for name in weights
    }
