"""Finding the weights that lower the word error rate on a development list.

How they are searched for is in :mod:`asr_lm.rescoring.tuning.search`; here stand what may be tuned, what signs the
weights have, in what form they are given, and how to see whether they fit the development list too closely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import ErrorCounts
from asr_lm.rescoring.features.lists import Rows, Values
from asr_lm.rescoring.features.table import FIXED_PHRASES, MOST_OF_PHRASES, PHRASES, UNKNOWN, Column, FeatureTable
from asr_lm.rescoring.tuning.objective import Objective, Point
from asr_lm.rescoring.tuning.search import Bounds, inverse_temperature, search
from asr_lm.rescoring.weights import Weights

SIGNS = {
    "first-pass": 1,
    "rank": 1,
    "model": 1,
    "length": 0,
    "unknown": -1,
    "corrected": 0,
    "phrases": 1,
    "near miss": -1,
    "recording": 1,
}
"""Sign a weight must have by the kind of its feature, 0 for either: no score may count against its hypothesis, and an
unknown word is never a reason to prefer one."""

UNKNOWN_PENALTY = 10.0
"""Nats by which a model's score is lowered for each unknown word where no list of the development set has hypotheses
that differ in unknown words, so that no weight can be found: about the logarithm of the number of words ``<unk>``
stands for."""

RESTARTS = 4
"""Random starts of a tuning."""

FOLDS = 5
"""Parts of a cross-validation."""

SMALLEST_UNIT = 1e-3
"""Share of the whole below which the first feature's weight is no unit for the others."""


def tune_weights(
    table: FeatureTable,
    features: Sequence[str] | None = None,
    *,
    seed: int = 0,
    restarts: int = RESTARTS,
    signs: Mapping[str, int] | None = None,
    starts: Sequence[Mapping[str, float]] = (),
) -> Weights:
    """Weights with a low word error rate on the utterances of ``table`` that have a reference.

    The word error rate reached is never above that of a start: of the first pass's own sum of scores, of ``starts``, of
    the minimum of the expected word error rate, of the random starts. Only ratios of weights matter to the choice of a
    hypothesis; they are given so that the first feature that the recogniser scored has weight 1, or, where that one got
    next to no weight, so that the sum of squares is 1. ``scale`` makes ``softmax(scale * total)`` the posterior with
    the lowest expected word error rate.

    A feature that never differs within a list gets weight 0, but for unknown words: see :data:`UNKNOWN_PENALTY`.

    Args:
        table: the development list.
        features: what to weight; None takes :meth:`FeatureTable.default_features`.
        seed: of the random starts and directions; the same seed gives the same weights.
        restarts: number of random starts.
        signs: by feature name, 1 for a weight that must not be negative, -1 for one that must not be positive, 0 for
            either; others follow :data:`SIGNS`. A model to be subtracted gets -1.
        starts: weights to begin from besides the built-in starts; features they do not name get 0.

    Raises:
        InputError: no reference, no feature, or a feature the table does not have.
    """
    names = tuple(table.default_features() if features is None else features)
    return completed(table, names, searched(table, names, seed=seed, restarts=restarts, signs=signs, starts=starts))


def searched(
    table: FeatureTable,
    names: Sequence[str],
    *,
    seed: int = 0,
    restarts: int = RESTARTS,
    signs: Mapping[str, int] | None = None,
    starts: Sequence[Mapping[str, float]] = (),
) -> dict[str, float]:
    """The weights of :func:`tune_weights` that data speak of: those of features that never differ are left out."""
    columns = check_features(table, names, [("sign", signs or {}), *(("start", start) for start in starts)])
    objective = Objective.of(table, names)
    if not objective.std.all():
        columns = [column for column, varies in zip(columns, objective.std, strict=True) if varies]
        objective = Objective.of(table, [column.name for column in columns])
    bounds = bounds_of(columns, signs or {})
    begins = [_in_units(weights, columns, objective) for weights in (first_pass_weights(columns), *starts) if weights]
    found = search(objective, bounds, begins, restarts, np.random.default_rng(seed)) if columns else np.zeros(0)
    return normalised(columns, objective, found)


def check_features(
    table: FeatureTable, names: Sequence[str], given: Sequence[tuple[str, Mapping[str, float]]]
) -> list[Column]:
    """The columns of the features; raises InputError where one is not there, named twice, or not one of those given."""
    if not names:
        raise InputError("no features to tune")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"the feature {twice[0]!r} is named twice")
    columns = table.kinds(names)
    for what, values in given:
        if stray := [name for name in values if name not in names]:
            raise InputError(f"a {what} is given for {stray[0]!r}, but the features tuned are {', '.join(names)}")
    return columns


def bounds_of(columns: Sequence[Column], signs: Mapping[str, int]) -> Bounds:
    """Bounds of the weights of the columns: ``signs`` by name, others follow :data:`SIGNS`."""
    return Bounds.of([signs.get(column.name, SIGNS[column.kind]) for column in columns])


def first_pass_weights(columns: Sequence[Column]) -> dict[str, float]:
    """The recogniser's own choice as far as its scores say: their sum, or its ranking."""
    own = "first-pass" if any(column.kind == "first-pass" for column in columns) else "rank"
    return {column.name: 1.0 for column in columns if column.kind == own}


def _in_units(weights: Mapping[str, float], columns: Sequence[Column], objective: Objective) -> Point:
    return np.array([weights.get(column.name, 0.0) for column in columns]) * objective.std


def normalised(columns: Sequence[Column], objective: Objective, point: Point) -> dict[str, float]:
    """The weights of a point by name, in the unit that :func:`tune_weights` gives them in."""
    values = point / objective.std
    unit = float(np.linalg.norm(values)) or 1.0
    own = [number for number, column in enumerate(columns) if column.kind in ("first-pass", "rank")]
    if own and point[own[0]] > SMALLEST_UNIT * np.linalg.norm(point):
        unit = float(values[own[0]])
    return {column.name: float(value) for column, value in zip(columns, values / unit, strict=True)}


def completed(table: FeatureTable, names: Sequence[str], found: Mapping[str, float]) -> Weights:
    """Weights of all features asked for: those that never differ within a list get what needs no data."""
    columns = table.kinds(names)
    found = found or first_pass_weights(columns)
    values = {name: found.get(name, 0.0) for name in names}
    for column in columns:
        if column.kind == "unknown" and column.name not in found:
            values[column.name] = -UNKNOWN_PENALTY * max(values.get(column.name.removeprefix(UNKNOWN), 0.0), 0.0)
    weights = Weights(values=values)
    scale = fitted_scale(table, weights)
    weights = weights.replaced(values=values | _of_phrases(names, found, scale), scale=scale)
    return weights.replaced(dev=_figures(table, weights))


def _of_phrases(names: Sequence[str], found: Mapping[str, float], scale: float) -> dict[str, float]:
    """Weights of listed phrases, within bounds.

    Where no phrase was said that is no reason to look for none elsewhere. And development lists that hold every rare
    word make phrases look surer than they are, so that what they gain is bounded, and what is risked costs its least.
    """
    chosen = {name: found.get(name, fixed / scale) for name, fixed in FIXED_PHRASES.items() if name in names}
    most = {name: (MOST_OF_PHRASES if name == PHRASES else FIXED_PHRASES[name]) / scale for name in chosen}
    return {name: min(value, most[name]) for name, value in chosen.items()}


def fitted_scale(table: FeatureTable, weights: Weights) -> float:
    """Scale of the totals that gives the lowest expected word error rate under ``softmax(scale * total)``.

    The inverse temperature has the penalty it has in the search, so the scale is finite even where the totals never
    err.

    Raises:
        InputError: the utterances have no references, or the table lacks a feature.
    """
    total = Column("total", "first-pass")
    objective = Objective.of(table.select_columns([]).with_columns([(total, weights.totals(table))]), [total.name])
    std = float(objective.std[0])
    return inverse_temperature(objective) / std if std else 1.0


def _figures(table: FeatureTable, weights: Weights) -> dict[str, float]:
    chosen = table.word_errors(table.lists.best(weights.totals(table)))
    first = table.word_errors(table.lists.starts)
    oracle = table.word_errors(table.lists.best(-table.errors.sum(1).astype(np.float64)))
    rates = {"wer": chosen.rate, "first_pass_wer": first.rate, "oracle_wer": oracle.rate}
    counts = {"utterances": chosen.sentences, "words": chosen.reference_length}
    return {name: float(value or 0.0) for name, value in (rates | counts).items()}


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What weights are worth on utterances they were not tuned on.

    Attributes:
        held_out: errors where the weights came from the other folds.
        tuning: errors on the utterances the weights came from, all folds together.
        folds: fold of each utterance that has a reference, -1 for the others ``[utterances]``.
        rows: hypothesis chosen by the weights of the other folds; for an utterance without a reference the first
            ``[utterances]``.
        expected: errors expected under the posteriors that the weights of the other folds give; for an utterance
            without a reference 0 ``[utterances]``.
    """

    held_out: ErrorCounts
    tuning: ErrorCounts
    folds: NDArray[np.int64]
    rows: Rows
    expected: Values

    @property
    def overfit(self) -> float:
        """Points of word error rate by which the tuning flatters itself."""
        return (self.held_out.rate or 0.0) - (self.tuning.rate or 0.0)


Fit = Callable[[FeatureTable], Weights]
"""Finds weights on a development list."""


def cross_validate(
    table: FeatureTable,
    features: Sequence[str] | None = None,
    folds: int = FOLDS,
    *,
    seed: int = 0,
    restarts: int = RESTARTS,
    signs: Mapping[str, int] | None = None,
) -> CrossValidation:
    """Tune on all folds but one, apply to that one, for each fold; arguments as in :func:`tune_weights`.

    Raises:
        InputError: as :func:`tune_weights`, or there are fewer recordings (utterances, where none is known) than folds.
    """
    fit = partial(tune_weights, features=features, seed=seed, restarts=restarts, signs=signs)
    return hold_out(table, assign_folds(table, folds), fit)


def hold_out(table: FeatureTable, assigned: NDArray[np.int64], fit: Fit) -> CrossValidation:
    """Fit on all folds but one, apply to that one, for each fold.

    Args:
        table: the development list.
        assigned: fold of each utterance, -1 for those without a reference ``[utterances]``.
        fit: finds the weights.
    """
    rows, expected = table.lists.starts.copy(), np.zeros(len(table.utterances))
    tuning = ErrorCounts()
    for fold in range(int(assigned.max()) + 1):
        development = table.select_utterances((assigned != fold) & (assigned >= 0))
        weights = fit(development)
        tuning += development.word_errors(development.lists.best(weights.totals(development)))
        held_out = assigned == fold
        totals = weights.totals(table)
        rows[held_out] = table.lists.best(totals)[held_out]
        expected[held_out] = _expected_errors(table, weights.scale * totals)[held_out]
    return CrossValidation(table.word_errors(rows), tuning, assigned, rows, expected)


def _expected_errors(table: FeatureTable, scores: Values) -> Values:
    """Errors of each list's hypotheses, weighed by the posterior of the scores ``[utterances]``."""
    return table.lists.total(table.lists.softmax(scores) * table.errors.sum(1))


def assign_folds(table: FeatureTable, folds: int, seed: int | None = None) -> NDArray[np.int64]:
    """Fold of each utterance that has a reference, -1 for the others ``[utterances]``.

    A recording is not split; an utterance of unknown recording stands alone. The largest recordings are dealt first,
    each to the fold with the fewest reference words so far, so the folds depend on the table alone.

    Args:
        table: the development list.
        folds: how many.
        seed: of another division, for which the recordings are dealt in a random order.

    Raises:
        InputError: fewer than two folds, or fewer recordings than folds.
    """
    words: dict[tuple[str, str], int] = {}
    groups: list[tuple[str, str] | None] = []
    for name, recording, length in zip(table.utterances, table.recordings, table.reference_words.tolist(), strict=True):
        group = ("utterance", name) if recording is None else ("recording", recording)
        groups.append(group if length >= 0 else None)
        if length >= 0:
            words[group] = words.get(group, 0) + length
    if not 2 <= folds <= len(words):
        raise InputError(f"{folds} folds asked for, from 2 to {len(words)} (the number of recordings) are possible")
    loads = np.zeros((folds, 2), dtype=np.int64)
    fold_of: dict[tuple[str, str] | None, int] = {None: -1}
    dealt = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    if seed is not None:
        dealt = [dealt[place] for place in np.random.default_rng(seed).permutation(len(dealt))]
    for group, size in dealt:
        # Recordings without words count too, so that no fold stays empty.
        fold_of[group] = min(range(folds), key=lambda fold: tuple(loads[fold]))
        loads[fold_of[group]] += size, 1
    return np.array([fold_of[group] for group in groups], dtype=np.int64)
