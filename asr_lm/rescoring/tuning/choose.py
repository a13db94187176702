"""Which system is applied: the simplest one that no other beats on utterances that it was not tuned on.

Tuned weights always do well on the list they come from. Whether anything was won is seen in the folds of a
cross-validation. Systems with weights near those of the first pass are taken from the simplest to the largest: fewer
models before more, one length (characters) before two (words, too), the nearest weights first. One takes the place of
the one before only if it makes fewer errors held out, and if the errors that are expected there, under the posteriors
of the lists, fall by more than chance explains (:func:`asr_lm.evaluation.held_out.is_won`). This is the
one-standard-error rule (Breiman, Friedman, Olshen and Stone 1984, "Classification and Regression Trees", section
3.4.3), by paired differences. What was chosen has two equals that are no larger: a score that is an average may be
taken times the length, where that wins held out; and of all models the weights with the fewest errors on the list may
be taken, where they are no worse held out.

What one division into folds says depends on the division. So a close call (:data:`asr_lm.evaluation.held_out.CLOSE`)
is judged by the mean over three of them (repeated cross-validation: Bouckaert and Frank 2004, "Evaluating the
replicability of significance tests for comparing learning algorithms").

Why expected errors: the errors made change by whole words and only where the order of two hypotheses does, so that a
gain of a hundredth of them is as large as its standard error on 300 utterances. The expected errors of every list
change a little, and tell gains from chance with fewer utterances (figures in tests/benchmarks/README.md).

How often one length is enough: on half of the WSJ lists (Whisper, HyPoradise) characters alone left 0.05 points of word
error rate less than both lengths, on CommonVoice they did no harm where both did; ATIS needs both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.held_out import (
    CLOSE,
    MARGIN,
    Errors,
    beats_first_pass,
    is_won,
    margin_over_first_pass,
    won_by,
)
from asr_lm.evaluation.word_errors import Counts
from asr_lm.rescoring.decisions import choosable_table
from asr_lm.rescoring.default_model import is_average
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import RANK, FeatureTable
from asr_lm.rescoring.systems import System
from asr_lm.rescoring.tuning.beside_phrases import weights_beside_phrases
from asr_lm.rescoring.tuning.shrink import STRENGTHS, shrunk_weights
from asr_lm.rescoring.tuning.tune import FOLDS, CrossValidation, assign_folds, completed, hold_out, tune_weights
from asr_lm.rescoring.weights import Weights

FEWEST_TIMES_LENGTH = 100
"""Utterances from which on an average may be taken times the length: a list in a few hundred holds a fragment of two
words with next to no sum, and weights that never met one may choose it."""

DIVISIONS = 3
"""Divisions into folds by which a close call is judged."""

FEW = 1_000
"""Utterances up to which there is more than one division: of more of them each says nearly the same, and takes long."""

Signs = Mapping[str, int]
"""Signs that weights must have, by feature; see :func:`asr_lm.rescoring.tuning.tune.tune_weights`."""


@dataclass(frozen=True, eq=False)
class Check:
    """What the folds say of a system.

    Attributes:
        system: what was tuned.
        divisions: its cross-validations, one for each division into folds.
        counts: held-out errors of the first one ``[utterances, 4]``.
        mean_counts: their mean over the divisions ``[utterances, 4]``.
        expected: errors expected held out, the mean over the divisions ``[utterances]``.
    """

    system: System
    divisions: Sequence[CrossValidation]
    counts: Counts
    mean_counts: Errors
    expected: Values

    @property
    def folds(self) -> CrossValidation:
        """Its first cross-validation."""
        return self.divisions[0]

    @property
    def errors(self) -> float:
        """Held-out errors of all utterances, the mean over the divisions."""
        return float(self.mean_counts[:, :3].sum())


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What the folds say of several systems.

    Attributes:
        checks: of each, from the simplest to the largest; empty where the list is too small for folds.
        best: of the system to apply; None: the first pass.
        first_pass: errors of the first pass ``[utterances, 4]``.
        expected: of the first pass, under the posteriors of its own scores ``[utterances]``.
    """

    checks: Sequence[Check]
    best: Check | None
    first_pass: Counts
    expected: Values

    def of(self, name: str) -> Check | None:
        """What the folds say of the system of this name."""
        return next((check for check in self.checks if check.system.name == name), None)


@dataclass(frozen=True, eq=False)
class _Folds:
    """Folds on which systems are checked.

    Attributes:
        table: the utterances with a reference.
        divisions: fold of each, in each division ``[utterances]``.
        signs: of weights, by feature.
        first_pass: errors of the first pass ``[utterances, 4]``.
        expected: of the first pass, under the posteriors of its own scores ``[utterances]``.
    """

    table: FeatureTable
    divisions: Sequence[NDArray[np.int64]]
    signs: Signs
    first_pass: Counts
    expected: Values

    def check(self, system: System) -> Check:
        return self._check(system, (), 1)

    def _check(self, system: System, known: Sequence[CrossValidation], divisions: int) -> Check:
        """By the first so many divisions, of which some are done already."""
        part = choosable_table(self.table, system.features(self.table))
        fit = partial(system_weights, system=system, signs=self.signs)
        found = [*known, *(hold_out(part, assigned, fit) for assigned in self.divisions[len(known) : divisions])]
        counts = [part.counts(folds.rows) for folds in found]
        expected = np.mean([folds.expected for folds in found], axis=0)
        return Check(system, found, counts[0], np.mean(counts, axis=0), expected)

    def simplest_unbeaten(self, checks: Iterable[Check]) -> Check | None:
        """One takes the place of a simpler one only where it wins; None: the first pass."""
        chosen: Check | None = None
        for check in checks:
            chosen = self._better(chosen, check)
        return chosen

    def _better(self, chosen: Check | None, check: Check) -> Check | None:
        """What was chosen, or the other where that wins; both by all divisions where it is a close call."""
        if self._is_close(chosen, check):
            chosen, check = chosen and self._by_all_divisions(chosen), self._by_all_divisions(check)
        return check if self._wins(chosen, check) else chosen

    def _by_all_divisions(self, check: Check) -> Check:
        every = len(self.divisions)
        return check if len(check.divisions) == every else self._check(check.system, check.divisions, every)

    def _is_close(self, chosen: Check | None, check: Check) -> bool:
        if chosen is None:
            won = won_by(self.first_pass, check.mean_counts, (self.expected, check.expected))
            return abs(won - margin_over_first_pass(len(self.first_pass))) < CLOSE
        return abs(won_by(chosen.mean_counts, check.mean_counts, (chosen.expected, check.expected)) - MARGIN) < CLOSE

    def _wins(self, chosen: Check | None, check: Check) -> bool:
        if chosen is None:
            return beats_first_pass(self.first_pass, check.mean_counts, (self.expected, check.expected))
        return is_won(chosen.mean_counts, check.mean_counts, expected=(chosen.expected, check.expected))

    def times_length(self, chosen: Check | None) -> Check | None:
        """What was chosen, or the same with its average score times the length where that is better."""
        if chosen is None or len(self.first_pass) < FEWEST_TIMES_LENGTH or not is_average(self.table):
            return chosen
        return self._better(chosen, self.check(chosen.system.times_length()))

    def freed(self, chosen: Check | None, free: Check) -> Check | None:
        """What was chosen, or the weights with the fewest errors of the same models where they are no worse."""
        if chosen is None:
            return self._better(None, free)
        return free if free.errors <= chosen.errors else chosen


def check_held_out(table: FeatureTable, systems: Sequence[System], signs: Signs | None = None) -> HeldOut:
    """Cross-validate systems, all on the same folds.

    Recordings are not split where there are at least as many of them as folds; else the folds are over utterances.

    Args:
        table: the development list.
        systems: from the simplest to the largest; those with free weights (``strength`` None) come last, and are only
            checked where the same models were chosen, or where there are no others.
        signs: of weights, by feature.
    """
    known = table.select_utterances(table.referenced)
    counts = known.counts(known.lists.starts)
    divisions = _divisions(known)
    if not divisions:
        return HeldOut((), None, counts, np.zeros(len(counts)))
    expected = np.mean([_expected_of_first_pass(known, assigned) for assigned in divisions], axis=0)
    folds = _Folds(known, divisions, signs or {}, counts, expected)
    near = [system for system in systems if system.strength is not None]
    checks = [folds.check(system) for system in near]
    best = folds.times_length(folds.simplest_unbeaten(checks))
    for system in systems:
        if system.strength is None and (not near if best is None else _same_models(best.system, system)):
            checks.append(free := folds.check(system))
            best = folds.freed(best, free)
    return HeldOut(checks, best, counts, expected)


def _expected_of_first_pass(known: FeatureTable, assigned: NDArray[np.int64]) -> Values:
    """Errors expected under the posteriors of the recogniser's scores, or of its order where these choose worse.

    Only how sharp they are is tuned, on the other folds ``[utterances]``.
    """
    scores = [column.name for column in known.columns if column.kind == "first-pass"]
    found = [_held_out_as_given(known, names, assigned) for names in (scores, [RANK]) if names]
    return min(found, key=lambda folds: folds.held_out.errors).expected


def _held_out_as_given(known: FeatureTable, names: Sequence[str], assigned: NDArray[np.int64]) -> CrossValidation:
    """The features with equal weights."""
    fit = partial(completed, names=names, found=dict.fromkeys(names, 1.0))
    return hold_out(choosable_table(known, names), assigned, fit)


def _same_models(one: System, other: System) -> bool:
    return (one.models, one.corrected) == (other.models, other.corrected)


def with_shrunk(systems: Sequence[System]) -> list[System]:
    """Each system with weights near those of the first pass, the nearest first, and the last one with free weights.

    Each is there with one length, the number of characters, and then with the number of words, too.
    """
    shrunk = [system.shrunk(strength, words) for system in systems for words in (False, True) for strength in STRENGTHS]
    return [*shrunk, systems[-1]]


def system_weights(
    table: FeatureTable, system: System, signs: Signs, starts: Sequence[Mapping[str, float]] = ()
) -> Weights:
    """Weights of a system that has its own.

    Args:
        table: the development list, with the hypotheses that the system chooses from.
        system: its features and how they are weighted.
        signs: of weights, by feature; those of other systems' features are of no matter.
        starts: as in :func:`asr_lm.rescoring.tuning.tune.tune_weights`.
    """

    def fit(table: FeatureTable, features: Sequence[str]) -> Weights:
        mine = {name: sign for name, sign in signs.items() if name in features}
        if system.strength is not None:
            return shrunk_weights(table, features, system.strength, signs=mine)
        known = [{name: value for name, value in start.items() if name in features} for start in starts]
        return tune_weights(table, features, signs=mine, starts=known)

    return weights_beside_phrases(table, system.features(table), fit)


def _divisions(known: FeatureTable) -> list[NDArray[np.int64]]:
    """Fold of each utterance, in each division; none where there are fewer utterances than folds."""
    count = len(known.utterances)
    seeds = (None, *range(1, DIVISIONS)) if count <= FEW else (None,)
    # An id may stand twice, in two recordings: alone, every utterance needs one of its own.
    apart = replace(known, recordings=(None,) * count, utterances=tuple(map(str, range(count))))
    for table in (known, apart):
        try:
            return [assign_folds(table, FOLDS, seed) for seed in seeds]
        except InputError:
            continue
    return []
