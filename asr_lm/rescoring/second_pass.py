"""The second pass: score, weigh, choose, and compare with what the first pass chose.

:func:`develop` finds weights on a development list; :class:`SecondPass` applies weights to a list, shard by shard, and
remembers what the evaluation needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import Comparison, Resampled, compare
from asr_lm.evaluation.roles import CORRECTED, FIRST_PASS, ORACLE, RESCORED, RETUNED
from asr_lm.evaluation.spacing import SpacingErrors, spacing_errors
from asr_lm.evaluation.word_errors import Unit
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.correction import Correction, add_corrections
from asr_lm.rescoring.default_model import FIRST_PASS_TOTAL, ScoreKind, default_weights, first_pass_total, score_kind
from asr_lm.rescoring.features.lists import Rows
from asr_lm.rescoring.features.shards import write_shard
from asr_lm.rescoring.features.table import UNKNOWN, Column, FeatureTable
from asr_lm.rescoring.rules.decision import Decisions, apply, choosable, tune_decision
from asr_lm.rescoring.scoring.context import Context, SpokenBefore
from asr_lm.rescoring.scoring.models import RescoringModel, check_score_names, feature_table
from asr_lm.rescoring.scoring.scorer import shards
from asr_lm.rescoring.scoring.vocabulary_fit import VocabularyFit, Warn
from asr_lm.rescoring.tuning.tune import FOLDS, CrossValidation, cross_validate, tune
from asr_lm.rescoring.weights import DecisionRule, Weights
from asr_lm.text.sentence_hashes import SentenceHashes

Report = Callable[[str, int], None]

DEVELOPMENT = "development list"
"""What the fingerprint of the list that weights were tuned on is called in their file."""

LEAST_RISK = "minimum Bayes risk"
"""What is added to the name of a system that chooses by least expected errors beside one that takes the best total."""


@dataclass(frozen=True)
class Measuring:
    """How errors are counted.

    Attributes:
        unit: words or characters.
        normalizer: name of the normaliser both sides go through before they are compared.
        resample: what the intervals are drawn over.
        baseline: name of the system that the others are tested against; None: the re-tuned first pass, or else the
            first pass.
    """

    unit: Unit = "word"
    normalizer: str = "as-is"
    resample: Resampled = "utterance"
    baseline: str | None = None


@dataclass(frozen=True, eq=False)
class Decided:
    """A list with all its features, and the hypothesis that each system chose of each utterance.

    Attributes:
        table: features and errors of all hypotheses.
        references: what was said ``[utterances]``; None where it is not known.
        rows: chosen rows of the table by system, first pass and oracle among them ``[utterances]``.
    """

    table: FeatureTable
    references: tuple[str | None, ...]
    rows: dict[str, Rows]

    @classmethod
    def concatenate(cls, parts: Sequence[Decided]) -> Decided:
        """The utterances of several parts of one list (at least one), in order."""
        table = FeatureTable.concatenate([part.table for part in parts])
        begins = np.cumsum([0, *(len(part.table.texts) for part in parts[:-1])])
        rows = {
            name: np.concatenate([part.rows[name] + begin for part, begin in zip(parts, begins, strict=True)])
            for name in parts[0].rows
        }
        return cls(table, tuple(reference for part in parts for reference in part.references), rows)


def _chosen(table: FeatureTable, decisions: dict[str, Decisions]) -> dict[str, Rows]:
    """What each system chooses, between the first pass and the oracle."""
    rows = {FIRST_PASS: table.lists.starts}
    rows |= {name: decision.rows for name, decision in decisions.items()}
    heard = choosable(table, ())
    rows[ORACLE] = table.lists.best(np.where(heard, -table.errors.sum(1).astype(float), -np.inf))
    return rows


@dataclass(frozen=True)
class Development:
    """What a development list taught.

    Attributes:
        weights: by name of the system, the re-tuned first pass among them.
        cross_validation: of the last system; None when there are too few recordings for folds.
        references: fingerprint of the list's references.
        said: id and reference of each utterance, by which it is known again.
        overlaps: share of the references in the training text of each model.
        decided: the list itself and what each system chooses there.
    """

    weights: dict[str, Weights]
    cross_validation: CrossValidation | None
    references: SentenceHashes
    said: frozenset[tuple[str, str]]
    overlaps: dict[str, float]
    decided: Decided

    @property
    def fingerprint(self) -> str:
        """Digest of :attr:`said`."""
        return _fingerprint(self.said)


def _fingerprint(said: Iterable[tuple[str, str]]) -> str:
    return hashlib.blake2b(msgspec.json.encode(sorted(said)), digest_size=16).hexdigest()


def develop(
    utterances: Sequence[Utterance],
    models: Sequence[RescoringModel],
    systems: dict[str, Sequence[str]],
    *,
    decision: DecisionRule = "best",
    measuring: Measuring | None = None,
    signs: dict[str, int] | None = None,
    least_risk: bool = False,
    context: int = 0,
    correction: Correction | None = None,
    report: Report = lambda name, hypotheses: None,
    warn: Warn = lambda message: None,
) -> Development:
    """Tune the weights of several systems on one development list.

    Args:
        utterances: the list; those without a reference are of no use.
        models: all models.
        systems: for each system the names of its models; that without any is the re-tuned first pass.
        decision: how one hypothesis is chosen.
        measuring: how errors are counted.
        signs: see :func:`asr_lm.rescoring.tuning.tune.tune`.
        least_risk: add the last system once more, choosing by minimum Bayes risk.
        context: utterances of the recording that models read before each one, as the first pass heard them.
        correction: let models correct the list first; systems of which :data:`CORRECTED` is a member may then choose
            what they wrote.
        report, warn: see :func:`asr_lm.rescoring.scoring.models.feature_table`.

    Raises:
        InputError: no reference, a sign for something that is neither a model nor a first-pass score, or as scoring
            and tuning raise it.
    """
    measuring = measuring or Measuring()
    before = SpokenBefore(context).contexts(utterances) if context else None
    kept = [number for number, utterance in enumerate(utterances) if utterance.reference is not None]
    known = [utterances[number] for number in kept]
    if not known:
        raise InputError("no utterance of the development list has a reference, so no weights can be found")
    check_score_names(known, models)
    _check_signs(signs or {}, known[0], models)
    if correction:
        known = add_corrections(known, models, correction, development=True)
    table = feature_table(
        known,
        models,
        development=True,
        unit=measuring.unit,
        wer_normalizer=measuring.normalizer,
        report=report,
        warn=warn,
        contexts=None if before is None else [before[number] for number in kept],
        corrected=correction is not None,
    )
    weights: dict[str, Weights] = {}
    for name, members in systems.items():
        # A system never does worse on the development list than the smaller ones it contains.
        within = [weights[other] for other, few in systems.items() if other in weights and set(few) <= set(members)]
        weights[name] = _tuned(table, members, decision, signs or {}, within)
    if least_risk and decision == "best":
        final = list(systems)[-1]
        weights[f"{final}, {LEAST_RISK}"] = tune_decision(weights[final], _for(weights[final].features, table))
    last = features_of(table, list(systems.values())[-1])
    try:
        cross_validation = cross_validate(_for(last, table), last, FOLDS, signs=_relevant(signs or {}, last))
    except InputError:
        cross_validation = None
    return Development(
        weights,
        cross_validation,
        SentenceHashes.from_sentences(utterance.reference or "" for utterance in known),
        frozenset((utterance.id, utterance.reference or "") for utterance in known),
        {model.name: model.overlap(known) for model in models},
        Decided(
            table,
            tuple(utterance.reference for utterance in known),
            _chosen(table, {name: apply(value, table) for name, value in weights.items()}),
        ),
    )


def _check_signs(signs: dict[str, int], utterance: Utterance, models: Sequence[RescoringModel]) -> None:
    scores = [*(model.name for model in models), *utterance.hypotheses[0].scores]
    if stray := [name for name in signs if name not in scores]:
        raise InputError(
            f"no model and no first-pass score is called {stray[0]!r}; there are {', '.join(scores)}",
            field="--subtract",
        )


def features_of(table: FeatureTable, members: Sequence[str]) -> tuple[str, ...]:
    """The features of a system that has only the named models."""
    wanted = set(members)
    kinds = table.kinds(table.default_features())
    return tuple(column.name for column in kinds if column.model is None or column.model in wanted)


def _tuned(
    table: FeatureTable,
    members: Sequence[str],
    decision: DecisionRule,
    signs: dict[str, int],
    within: Sequence[Weights],
) -> Weights:
    features = features_of(table, members)
    table = _for(features, table)
    starts = [weights.values for weights in within if set(weights.values) <= set(features)]
    weights = tune(table, features, signs=_relevant(signs, features), starts=starts)
    return tune_decision(weights, table) if decision == "mbr" else weights


def _for(features: Sequence[str], table: FeatureTable) -> FeatureTable:
    """The hypotheses that a system with these features chooses from."""
    kept = choosable(table, features)
    return table if kept.all() else table.select_rows(kept)


def _relevant(signs: dict[str, int], features: Sequence[str]) -> dict[str, int]:
    return {name: sign for name, sign in signs.items() if name in features}


@dataclass
class _Outcome:
    """What the evaluation needs of every utterance."""

    ids: list[str] = field(default_factory=list)
    references: list[str | None] = field(default_factory=list)
    recordings: list[str | None] = field(default_factory=list)
    chosen: dict[str, list[str]] = field(default_factory=dict)
    written: list[frozenset[str]] = field(default_factory=list)


@dataclass(frozen=True)
class CorrectionReport:
    """What correction did to a list.

    Attributes:
        written: utterances for which a corrector wrote a text that the list did not have.
        taken: those of them whose output is such a text.
        changed: utterances whose output differs from the one without correction; None where that was not asked for.
        spacing: errors of each system, those of word boundaries apart; empty without references.
    """

    written: int
    taken: int
    changed: int | None
    spacing: dict[str, SpacingErrors]


class SecondPass:
    """Applies weights to a list.

    Args:
        models: their columns.
        weights: weights by name of the system, in the order of the result table; the last one that does not take
            minimum Bayes risk beside another decides the output. None takes the packaged default weights for one
            system, ``rescored``.
        kind: of the first-pass scores, for the default weights; None recognises it.
        measuring: how errors are counted.
        report, warn: see :func:`asr_lm.rescoring.scoring.models.feature_table`.
        features: folder that gets the feature table as Parquet shards; None writes none.
        keep: remember the feature table, too, for :attr:`decided`.
        context: utterances of the recording that models read before each one, as the first pass heard them.
        correction: let models correct each list first.
        others: texts that systems chose which do not choose from the list: by system, then by utterance.

    Attributes:
        models: as above.
        weights: as above; the default weights once the first shard is read.
        kind: of the first-pass scores, where the default weights needed it.
    """

    def __init__(
        self,
        models: Sequence[RescoringModel],
        weights: dict[str, Weights] | None,
        *,
        kind: ScoreKind | None = None,
        measuring: Measuring | None = None,
        report: Report = lambda name, hypotheses: None,
        warn: Warn = lambda message: None,
        features: Path | None = None,
        keep: bool = False,
        context: int = 0,
        correction: Correction | None = None,
        others: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.models = models
        self.weights = weights
        self._others = others or {}
        self.kind = kind
        self._measuring = measuring or Measuring()
        self._report = report
        self._warn = warn
        self._features = features
        self._keep = keep
        self._context = context
        self._correction = correction
        self._kept: list[Decided] = []
        self._outcome = _Outcome()

    def rescore(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """The utterances with their hypotheses reordered, scores extended and ``total`` added, as they are ready."""
        fit = VocabularyFit(self._warn)
        before = SpokenBefore(self._context) if self._context else None
        for number, shard in enumerate(shards(utterances)):
            if self.weights is None:
                self._take_default_weights(shard)
            if self._correction:
                shard = add_corrections(shard, self.models, self._correction)
            table = self._table(shard, fit, before.contexts(shard) if before else None)
            if self._features:
                write_shard(table, self._features, number)
            assert self.weights is not None
            decisions = {name: apply(weights, table) for name, weights in self.weights.items()}
            self._remember(shard, table, decisions)
            yield from _rewritten(shard, table, decisions[deciding(self.weights)])

    def _take_default_weights(self, shard: Sequence[Utterance]) -> None:
        self.kind = self.kind or score_kind(shard)
        closed = [UNKNOWN + model.name for model in self.models if not model.model.vocabulary.is_open]
        self.weights = {RESCORED: default_weights(self.kind, [model.name for model in self.models], closed)}

    def _table(
        self, shard: Sequence[Utterance], fit: VocabularyFit, contexts: Sequence[Context] | None
    ) -> FeatureTable:
        table = feature_table(
            shard,
            self.models,
            unit=self._measuring.unit,
            wer_normalizer=self._measuring.normalizer,
            report=self._report,
            fit=fit,
            contexts=contexts,
            corrected=self._correction is not None,
        )
        if self.kind is None:
            return table
        return table.with_columns([(Column(FIRST_PASS_TOTAL, "first-pass"), first_pass_total(table, self.kind))])

    def _remember(self, shard: Sequence[Utterance], table: FeatureTable, decisions: dict[str, Decisions]) -> None:
        outcome = self._outcome
        outcome.ids += [utterance.id for utterance in shard]
        outcome.references += [utterance.reference for utterance in shard]
        outcome.recordings += [utterance.recording for utterance in shard]
        outcome.written += [
            frozenset(hypothesis.text for hypothesis in utterance.hypotheses if hypothesis.corrected)
            for utterance in shard
        ]
        rows = _chosen(table, decisions)
        if self._keep:
            self._kept.append(Decided(table, tuple(utterance.reference for utterance in shard), rows))
        for name, chosen in rows.items():
            outcome.chosen.setdefault(name, []).extend(table.texts[row] for row in chosen.tolist())

    @property
    def decided(self) -> Decided:
        """The list and the choices, where they were kept and something was rescored."""
        return Decided.concatenate(self._kept)

    def correction_report(self, without: Sequence[bool] | None = None) -> CorrectionReport:
        """What correction did, once the list is rescored; ``without`` as in :meth:`comparison`."""
        outcome = self._outcome
        kept = [number for number in range(len(outcome.ids)) if without is None or not without[number]]
        chosen = {name: [texts[number] for number in kept] for name, texts in outcome.chosen.items()}
        written = [outcome.written[number] for number in kept]
        final = chosen[CORRECTED]
        return CorrectionReport(
            sum(map(bool, written)),
            sum(text in texts for text, texts in zip(final, written, strict=True)),
            sum(map(str.__ne__, final, chosen[RESCORED])) if RESCORED in chosen else None,
            spacing_errors([outcome.references[number] for number in kept], chosen),
        )

    @property
    def utterances(self) -> int:
        """Utterances rescored so far."""
        return len(self._outcome.ids)

    @property
    def references(self) -> int:
        """Those of them that have a reference."""
        return sum(reference is not None for reference in self._outcome.references)

    def overlaps(self, development: Development | None) -> dict[str, list[bool]]:
        """Which references occur in each model's training text and in the development list, by name of either."""
        references = [reference or "" for reference in self._outcome.references]
        sources = {f"training text of {model.name}": model.seen for model in self.models}
        sources["development list"] = development.references if development else None
        return {name: hashes.contains(references).tolist() for name, hashes in sources.items() if hashes is not None}

    def same_utterances(self, development: Development) -> float:
        """Share of the utterances with a reference whose id and reference are in the development list.

        An id alone tells nothing: the utterances of many lists are simply numbered.
        """
        said = zip(self._outcome.ids, self._outcome.references, strict=True)
        return sum(pair in development.said for pair in said) / max(self.references, 1)

    def is_development(self, weights: Weights) -> bool:
        """Whether the weights say that they were tuned on exactly these utterances."""
        said = zip(self._outcome.ids, self._outcome.references, strict=True)
        known = [(name, reference) for name, reference in said if reference is not None]
        return bool(known) and weights.fingerprints.get(DEVELOPMENT) == _fingerprint(known)

    def comparison(self, without: Sequence[bool] | None = None) -> Comparison:
        """Error rates of all systems.

        Args:
            without: utterances to leave out ``[utterances]``.

        Raises:
            InputError: no utterance has a reference.
        """
        outcome = self._outcome
        kept = [number for number in range(len(outcome.ids)) if without is None or not without[number]]

        def of(values: Sequence[str | None]) -> list[str | None]:
            return [values[number] for number in kept]

        systems = {name: [texts[number] for number in kept] for name, texts in outcome.chosen.items()}
        best_possible = systems.pop(ORACLE)
        for name, said in self._others.items():
            systems[name] = [said[outcome.ids[number]] for number in kept]
        return compare(
            of(outcome.references),
            {**systems, ORACLE: best_possible},
            baseline=self._measuring.baseline,
            recordings=of(outcome.recordings),
            unit=self._measuring.unit,
            resample=self._measuring.resample,
            normalizer=self._measuring.normalizer,
        )


def deciding(weights: Mapping[str, Weights]) -> str:
    """The system that decides: the last one that does not take minimum Bayes risk beside another."""
    return without_least_risk(weights)[-1]


def without_least_risk(weights: Mapping[str, Weights]) -> list[str]:
    """The systems but for those that take minimum Bayes risk beside others that take the best; all, if none does."""
    best = [name for name, found in weights.items() if found.decision == "best"]
    return best or list(weights)


def _rewritten(shard: Sequence[Utterance], table: FeatureTable, decisions: Decisions) -> Iterator[Utterance]:
    added = [column.name for column in table.columns if column.kind == "model"]
    values = table.features(added).tolist()
    totals = decisions.totals.tolist()
    order = decisions.order(table.lists).tolist()
    begin = 0
    for utterance in shard:
        rows = order[begin : begin + len(utterance.hypotheses)]
        hypotheses = []
        for row in rows:
            old = utterance.hypotheses[row - begin]
            scores = {**old.scores, **dict(zip(added, values[row], strict=True))}
            hypotheses.append(msgspec.structs.replace(old, scores=scores, total=totals[row]))
        begin += len(rows)
        yield Utterance(utterance.id, tuple(hypotheses), utterance.reference, utterance.recording)


def systems_for_rescore(models: Sequence[RescoringModel], correct: bool = False) -> dict[str, Sequence[str]]:
    """The systems of ``rescore``: the re-tuned first pass, all models together, and these with corrections."""
    names = tuple(model.name for model in models)
    systems: dict[str, Sequence[str]] = {RETUNED: (), RESCORED: names}
    return systems | {CORRECTED: (*names, CORRECTED)} if correct else systems


def systems_for_comparison(
    models: Sequence[RescoringModel], combinations: Sequence[str] = (), subtracted: Collection[str] = ()
) -> dict[str, Sequence[str]]:
    """The systems of ``compare``: the re-tuned first pass, each model alone, combinations, and all together.

    A model that is subtracted is no system of its own: every system of the others is there without it, and once more
    with it (the low-order density ratio of Zheng et al. 2022, where it is a bigram of the recogniser's own
    transcripts).

    Args:
        models: all models.
        combinations: names of models with ``+`` between them.
        subtracted: names of models, or of first-pass scores, whose weight may only be negative.

    Raises:
        InputError: a combination of fewer than two models, or of one that is not there.
    """
    names = [model.name for model in models]
    added = tuple(name for name in names if name not in subtracted)
    taken = tuple(name for name in names if name in subtracted)
    systems: dict[str, Sequence[str]] = {RETUNED: ()}
    for members in [*((name,) for name in added), *(_members(one, names) for one in combinations), added]:
        chosen = [members, (*members, *taken)] if members else [taken]
        systems |= {_system(one, subtracted): one for one in chosen if one}
    return systems


def _system(members: Sequence[str], subtracted: Collection[str]) -> str:
    """What a system of these models is called, as ``A + B - C``."""
    added = " + ".join(name for name in members if name not in subtracted)
    taken = "".join(f" - {name}" for name in dict.fromkeys(members) if name in subtracted)
    return (added or "first pass") + taken


def _members(combination: str, names: Sequence[str]) -> tuple[str, ...]:
    """The models of a combination, in the order of ``names``."""
    wanted = [part.strip() for part in combination.split("+")]
    if stray := [name for name in wanted if name not in names]:
        raise InputError(f"no model is called {stray[0]!r}; there are {', '.join(names)}", field="--combine")
    members = tuple(name for name in names if name in wanted)
    if len(members) < 2:
        raise InputError(f"{combination!r} names one model, expected two or more as A+B", field="--combine")
    return members
