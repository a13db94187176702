"""Which system is applied: the simplest one that no other beats on utterances that it was not tuned on.

Tuned weights always do well on the list they come from. Whether anything was won is seen in the folds of a
cross-validation: systems are taken from the simplest to the largest, each first with weights near those of the first
pass, and one takes the place of the one before only if it makes fewer errors held out by more than chance explains
(:func:`asr_lm.evaluation.held_out.is_won`). This is the one-standard-error rule (Breiman, Friedman, Olshen and Stone
1984, "Classification and Regression Trees", section 3.4.3), by paired differences. The weights with the fewest errors
on the list take the place of those near the first pass where they are no worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.held_out import beats_first_pass, is_won
from asr_lm.evaluation.word_errors import Counts
from asr_lm.rescoring.decisions import choosable_table
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.systems import System
from asr_lm.rescoring.tuning.shrink import STRENGTHS, shrunk_weights
from asr_lm.rescoring.tuning.tune import FOLDS, CrossValidation, assign_folds, hold_out, tune_weights
from asr_lm.rescoring.weights import Weights

Signs = Mapping[str, int]
"""Signs that weights must have, by feature; see :func:`asr_lm.rescoring.tuning.tune.tune_weights`."""


@dataclass(frozen=True, eq=False)
class Check:
    """What the folds say of a system.

    Attributes:
        system: what was tuned.
        folds: its cross-validation.
        counts: held-out errors ``[utterances, 4]``.
    """

    system: System
    folds: CrossValidation
    counts: Counts

    @property
    def errors(self) -> int:
        """Held-out errors of all utterances."""
        return int(self.counts[:, :3].sum())


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What the folds say of several systems.

    Attributes:
        checks: of each, from the simplest to the largest; empty where the list is too small for folds.
        first_pass: errors of the first pass ``[utterances, 4]``.
    """

    checks: Sequence[Check]
    first_pass: Counts

    @property
    def best(self) -> Check | None:
        """The system to apply: one takes the place of a simpler one only where it wins held out; None: first pass."""
        chosen: Check | None = None
        for check in self.checks:
            if self._is_better(chosen, check):
                chosen = check
        return chosen

    def _is_better(self, chosen: Check | None, check: Check) -> bool:
        if chosen is None:
            return beats_first_pass(self.first_pass, check.counts)
        if check.system == replace(chosen.system, name=check.system.name, strength=None):
            return check.errors <= chosen.errors
        return is_won(chosen.counts, check.counts)

    def of(self, name: str) -> Check | None:
        """What the folds say of the system of this name."""
        return next((check for check in self.checks if check.system.name == name), None)


def check_held_out(table: FeatureTable, systems: Sequence[System], signs: Signs | None = None) -> HeldOut:
    """Cross-validate systems, all on the same folds.

    Recordings are not split where there are at least as many of them as folds; else the folds are over utterances.

    Args:
        table: the development list.
        systems: from the simplest to the largest.
        signs: of weights, by feature.
    """
    known = table.select_utterances(table.referenced)
    counts = known.counts(known.lists.starts)
    folds = _folds(known)
    if folds is None:
        return HeldOut((), counts)
    return HeldOut([_checked(known, folds, found, signs or {}) for found in systems], counts)


def with_shrunk(systems: Sequence[System], table: FeatureTable) -> list[System]:
    """Each system with weights near those of the first pass, the nearest first, and the last one with free weights.

    Where the recogniser gave scores, each is there once more with the rank among them.
    """
    ranked = (False, True) if table.scored else (False,)
    shrunk = [system.shrunk(strength, rank) for system in systems for rank in ranked for strength in STRENGTHS]
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
    features = system.features(table)
    mine = {name: sign for name, sign in signs.items() if name in features}
    if system.strength is not None:
        return shrunk_weights(table, features, system.strength, signs=mine)
    return tune_weights(table, features, signs=mine, starts=starts)


def _checked(known: FeatureTable, folds: NDArray[np.int64], system: System, signs: Signs) -> Check:
    part = choosable_table(known, system.features(known))
    check = hold_out(part, folds, partial(system_weights, system=system, signs=signs))
    return Check(system, check, part.counts(check.rows))


def _folds(known: FeatureTable) -> NDArray[np.int64] | None:
    """Fold of each utterance; None where there are fewer utterances than folds."""
    count = len(known.utterances)
    # An id may stand twice, in two recordings: alone, every utterance needs one of its own.
    apart = replace(known, recordings=(None,) * count, utterances=tuple(map(str, range(count))))
    for table in (known, apart):
        try:
            return assign_folds(table, FOLDS)
        except InputError:
            continue
    return None
