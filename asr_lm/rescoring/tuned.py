"""What tuning found: the weights of every system, and what is known of the list they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from asr_lm.errors import InputError
from asr_lm.evaluation.roles import CORRECTED, RESCORED
from asr_lm.evaluation.word_errors import Counts
from asr_lm.files import write_text
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.default_model import ScoreKind, default_weights, score_kind
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import CORRECTED_TEXT, UNKNOWN
from asr_lm.rescoring.framing import Framing
from asr_lm.rescoring.phrases.features import with_fixed_weights
from asr_lm.rescoring.recombination import Recombination
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.systems import System, Systems
from asr_lm.rescoring.tuning.choose import Check
from asr_lm.rescoring.tuning.tune import CrossValidation
from asr_lm.rescoring.weights import Weights
from asr_lm.text.sentence_hashes import SentenceHashes

DEVELOPMENT = "development list"
"""What the fingerprint of the list that weights were tuned on is called in their file."""

Said = tuple[str, str]
"""Id and reference of an utterance, by which it is known again: an id alone is often a mere number."""


@dataclass(frozen=True, eq=False)
class Development:
    """The development list, as far as it matters to what is reported later.

    Attributes:
        references: fingerprint of its references.
        said: id and reference of each utterance.
        overlaps: share of the references in the training text of each model, from 0 to 1.
        check: what held-out utterances say of the system that decides, or of the one that would have decided had it
            won there; None when there are too few utterances for folds.
        errors: of the first pass on the same utterances ``[utterances, 4]``.
        expected: of the first pass, under the posteriors of its own scores ``[utterances]``.
        choices: the list itself and what each system chooses there.
        recombination: what the list says of recombined histories; None where it was not asked.
        framings: how the list has foreign models read texts, by name.
    """

    references: SentenceHashes
    said: frozenset[Said]
    overlaps: Mapping[str, float]
    check: Check | None
    errors: Counts
    expected: Values
    choices: Choices
    recombination: Recombination | None = None
    framings: Mapping[str, Framing] = field(default_factory=dict)

    @property
    def cross_validation(self) -> CrossValidation | None:
        """The folds of :attr:`check`."""
        return None if self.check is None else self.check.folds

    @property
    def fingerprint(self) -> str:
        """Digest of :attr:`said`."""
        return references_fingerprint(self.said)


_DIGEST_BYTES = 20


class SaidFingerprint:
    """Digest of what was said in a list, whatever its order: the sum of the digests of its utterances.

    Attributes:
        count: utterances so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, said: Iterable[Said]) -> None:
        """More utterances."""
        for pair in said:
            digest = hashlib.blake2b(msgspec.json.encode(pair), digest_size=_DIGEST_BYTES).digest()
            self._sum += int.from_bytes(digest, "little")
            self.count += 1

    def merge(self, other: SaidFingerprint) -> None:
        """The utterances of another one."""
        self._sum += other._sum
        self.count += other.count

    def __str__(self) -> str:
        return (self._sum % (1 << 8 * _DIGEST_BYTES)).to_bytes(_DIGEST_BYTES, "little").hex()


def references_fingerprint(said: Iterable[Said]) -> str:
    """Digest of what was said in a list, whatever its order."""
    found = SaidFingerprint()
    found.add(said)
    return str(found)


@dataclass(frozen=True, eq=False)
class Tuned:
    """Systems and their weights.

    Attributes:
        systems: in the order of the result table, and which of them decides the output: the first pass where none
            wins held out.
        by_system: weights by name of the system; those that keep the recogniser's order where the first pass decides.
        models: fingerprints of the models behind the weights, by name.
        development: the list they were tuned on; None for weights that came from elsewhere.
        kind: of the first-pass scores, where the packaged default weights need it.
    """

    systems: Systems
    by_system: Mapping[str, Weights]
    models: Mapping[str, str]
    development: Development | None = None
    kind: ScoreKind | None = None

    @property
    def weights(self) -> Weights:
        """Weights of the system that decides, with the fingerprints of its models and of the development list."""
        return self.weights_for(self.systems.final)

    def weights_for(self, system: str) -> Weights:
        """Weights of one system, with the fingerprints of the models and of the development list."""
        known = {} if self.development is None else {DEVELOPMENT: self.development.fingerprint}
        weights = self.by_system[system]
        return weights.replaced(fingerprints={**weights.fingerprints, **self.models, **known})

    def save(self, path: str | Path, lattice_scales: Mapping[str, float] | None = None) -> None:
        """Write the weights of the deciding system, as ``rescore --weights`` reads them, and beside them all others.

        Raises:
            InputError: the file cannot be written.
        """
        weights = self.weights.replaced(lattice_scales=dict(lattice_scales or self.weights.lattice_scales))
        record = msgspec.to_builtins(weights)
        record["systems"] = {
            system.name: {"models": system.models, "weights": self.by_system[system.name].values}
            for system in self.systems.rows
        }
        write_text(path, msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n")

    @classmethod
    def of_weights(cls, weights: Weights, models: Sequence[RescoringModel], rules: Sequence[str] = ()) -> Tuned:
        """Weights of an earlier tuning as the one system of a list.

        Args:
            weights: what decides.
            models: all models of the list.
            rules: decision rules that get a row, besides that of the weights.
        """
        corrected = CORRECTED_TEXT in weights.values
        names = tuple(model.name for model in models)
        row = System(CORRECTED if corrected else RESCORED, names, weights.decision, corrected)
        systems = Systems((row,), row.name).with_rules(rules)
        found = {system.name: weights.replaced(decision=system.rule) for system in systems.rows}
        return cls(systems, found, {})

    @classmethod
    def default(
        cls,
        utterances: Sequence[Utterance],
        models: Sequence[RescoringModel],
        kind: ScoreKind | None = None,
        strange: Collection[str] = (),
    ) -> Tuned:
        """The packaged weights for a list.

        Args:
            utterances: the list, or its beginning, from which the kind of its scores is told.
            models: all models.
            kind: of the first-pass scores; None recognises it.
            strange: names of models that do not know the list's words.
        """
        kind = kind or score_kind(utterances)
        names = [model.name for model in models]
        closed = [UNKNOWN + model.name for model in models if not model.model.vocabulary.is_open]
        system = System(RESCORED, tuple(names))
        foreign = [model.name for model in models if model.model.is_foreign]
        weights = default_weights(kind, names, closed, foreign, strange)
        return cls(Systems((system,), RESCORED), {RESCORED: weights}, {}, kind=kind)

    def with_fixed_phrases(self) -> Tuned:
        """The same, where the weights know nothing of phrases with the fixed ones."""
        return replace(self, by_system={name: with_fixed_weights(found) for name, found in self.by_system.items()})


class DevelopmentCheck:
    """Weights are never reported on the list they were tuned on; told of a list part by part, it keeps two numbers."""

    def __init__(self) -> None:
        self._known = 0
        self._fingerprint = SaidFingerprint()

    def add(self, said: Sequence[Said], tuned: Tuned) -> None:
        """Id and reference of the next utterances that have a reference, and what is applied to them."""
        self._fingerprint.add(said)
        if tuned.development is not None:
            self._known += sum(pair in tuned.development.said for pair in said)

    def merge(self, other: DevelopmentCheck) -> None:
        """The utterances that another one was told of."""
        self._known += other._known
        self._fingerprint.merge(other._fingerprint)

    def refuse(self, tuned: Tuned, warning: float) -> float:
        """See :func:`refuse_development`, for all that was added."""
        never = "weights are never reported on the list they were tuned on"
        count = self._fingerprint.count
        if tuned.development is None:
            named = {weights.fingerprints.get(DEVELOPMENT) for weights in tuned.by_system.values()} - {None}
            if count and str(self._fingerprint) in named:
                raise InputError(f"{never}, and this list is the one that the weights name")
            return 0.0
        share = self._known / max(count, 1)
        if share > 0.5:
            raise InputError(f"{100 * share:.0f} % of the utterances are in the development list: {never}")
        return share if share > warning else 0.0


def refuse_development(said: Sequence[Said], tuned: Tuned, warning: float) -> float:
    """Weights are never reported on the list they were tuned on.

    Args:
        said: id and reference of every utterance of a list that has a reference.
        tuned: what is applied to it.
        warning: share from which a part of the list is worth a warning.

    Returns:
        Share of the utterances that are in the development list, where it is above ``warning``; else 0.

    Raises:
        InputError: most of the list is the development list, or all of it the one that the weights name.
    """
    check = DevelopmentCheck()
    check.add(said, tuned)
    return check.refuse(tuned, warning)
