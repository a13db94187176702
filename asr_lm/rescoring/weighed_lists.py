"""Lists as minimum word error rate training wants them: errors, and all that counts beside the model that learns.

The posterior that the training looks at is that of the second pass: first-pass scores, lengths and other models with
their tuned weights. A model in training is a column of that feature table like any other; its column is taken out, and
what is left is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import Unit
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.training.list_batches import WeighedList, nothing_to_learn
from asr_lm.lm.training.minimum_word_error import Combination
from asr_lm.progress import Progress
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table
from asr_lm.rescoring.tuning.tune import fitted_scale, tune_weights
from asr_lm.rescoring.weights import Weights
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.sentence_hashes import fold_of

HELD_OUT = 10
"""One utterance of so many is held out where there is no validation list."""


def scored_lists(
    utterances: Sequence[Utterance],
    models: Sequence[RescoringModel],
    *,
    unit: Unit = "word",
    wer_normalizer: str = "as-is",
    progress: Progress | None = None,
) -> FeatureTable:
    """All features of lists to train on; where a model has seen a reference and has jackknife models, theirs.

    Raises:
        InputError: no utterance, one without a reference, or as scoring raises it.
    """
    if not utterances:
        raise InputError("no utterance to train on")
    if missing := next((utterance for utterance in utterances if utterance.reference is None), None):
        raise InputError("no reference; every list trained on needs one", utterance=missing.id)
    return feature_table(
        utterances, models, development=True, unit=unit, wer_normalizer=wer_normalizer, progress=progress
    )


def weights_for(table: FeatureTable, model: str, given: Weights | None = None) -> Weights:
    """Weights under which a model learns: those given, with the scale that suits the table, or tuned on it.

    Raises:
        InputError: no list with a choice; the table lacks a weighted feature; the model has no weight above 0.
    """
    errors = table.errors.sum(1)
    if not (np.minimum.reduceat(errors, table.lists.starts) < np.maximum.reduceat(errors, table.lists.starts)).any():
        raise nothing_to_learn()
    if given is None:
        weights = tune_weights(table)
    else:
        given.check(table)
        weights = given.replaced(scale=fitted_scale(table, given))
    if not weights.values.get(model, 0.0) > 0:
        found = f"is {weights.values[model]:g}" if model in weights.values else "is not there"
        raise InputError(
            f"the weight of {model!r} {found} among {', '.join(weights.values)}: it has to be above 0, or nothing that "
            "the model learns would count",
            parameter="weights",
        )
    return weights


def combination_of(weights: Weights, model: str, likelihood: float = 0.0) -> Combination:
    """How the score of a model counts under weights."""
    return Combination(weights.values[model], weights.scale, likelihood)


def weighed_lists(
    utterances: Sequence[Utterance], table: FeatureTable, weights: Weights, model: RescoringModel
) -> list[WeighedList]:
    """The lists of a table for the training of a model.

    Args:
        utterances: those of the table.
        table: with all features of the weights.
        weights: from :func:`weights_for`.
        model: the one that learns.
    """
    normalize = get_normalizer(model.model.normalizer)
    totals = weights.scale * weights.totals(table)
    fixed = totals - weights.scale * weights.values[model.name] * table.column(model.name)
    errors = table.errors.sum(1).astype(np.float64)
    lists = []
    for utterance, begin, end in zip(utterances, table.offsets[:-1], table.offsets[1:], strict=True):
        texts = tuple(normalize(hypothesis.text) for hypothesis in utterance.hypotheses)
        rows = slice(int(begin), int(end))
        reference = normalize(utterance.reference or "")
        lists.append(WeighedList(reference, texts, texts, errors[rows], fixed[rows], totals[rows]))
    return lists


def outside_fold(utterances: Sequence[Utterance], fold: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Which utterances have a reference that does not fall into the fold ``i`` of ``K`` ``[utterances]``."""
    if fold is None:
        return np.ones(len(utterances), dtype=np.bool_)
    return fold_of([utterance.reference or "" for utterance in utterances], fold[1]) != fold[0]


def held_out(utterances: Sequence[Utterance]) -> NDArray[np.bool_]:
    """Which utterances are for validation: about a tenth, by another hash of their references than that of folds."""
    return fold_of([f"held out: {utterance.reference}" for utterance in utterances], HELD_OUT) == 0
