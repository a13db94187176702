"""The second pass over a list: score, weigh, choose, and remember what the evaluation needs.

Nothing here has a state: a list, models and weights go in, values come out. A list may be as long as it likes: it is
rescored shard by shard, each shard is a :class:`Rescored` of its own, and they add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np

from asr_lm.errors import InputError
from asr_lm.evaluation.biased_errors import BiasedErrors
from asr_lm.evaluation.comparison import Comparison
from asr_lm.evaluation.confidence import ConfidenceQuality, Judged, JudgedWords
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.progress import Logged, Progress
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.confidence.confidences import Confidences, confidences, with_confidences
from asr_lm.rescoring.decisions import Decisions, apply
from asr_lm.rescoring.default_model import FIRST_PASS_TOTAL, ScoreKind, doubt_of_kind, first_pass_total, score_kind
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import Column, FeatureTable
from asr_lm.rescoring.framing import settle_framings
from asr_lm.rescoring.further_hypotheses import with_further_hypotheses
from asr_lm.rescoring.outcome import Outcome
from asr_lm.rescoring.phrases.features import Phrased
from asr_lm.rescoring.recombination import settle_recombination
from asr_lm.rescoring.scoring.context import Context, SpokenBefore
from asr_lm.rescoring.scoring.familiarity import is_familiar
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table
from asr_lm.rescoring.scoring.scorer import shards
from asr_lm.rescoring.scoring.vocabulary_fit import Misfit, VocabularyFit
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.tuned import DevelopmentCheck, Tuned
from asr_lm.text.sentence_hashes import OVERLAP_WARNING


@dataclass(frozen=True, eq=False)
class Rescored:
    """A rescored list, or a part of one.

    Attributes:
        utterances: hypotheses reordered, scores extended by one a model, ``total`` added.
        outcome: what each system chose.
        choices: all features; None where they were let go.
        tuned: the weights that were applied.
        models: the models that scored.
        measuring: how errors are counted.
        confidences: of the words of the output; None where they were not asked for.
        biased: errors of listed phrases' words and of others by system; None where no phrases were asked for.
    """

    utterances: tuple[Utterance, ...]
    outcome: Outcome
    choices: Choices | None
    tuned: Tuned
    models: tuple[RescoringModel, ...]
    measuring: Measuring
    confidences: Confidences | None = None
    biased: Mapping[str, BiasedErrors] | None = None

    @property
    def table(self) -> FeatureTable:
        """Features and errors of all hypotheses."""
        return self.whole_choices.table

    @property
    def whole_choices(self) -> Choices:
        """All features, which must not have been let go."""
        assert self.choices is not None, "the features of this list were let go"
        return self.choices

    def comparison(self, without: Sequence[bool] | None = None) -> Comparison:
        """Error rates of all systems with intervals and tests.

        Args:
            without: utterances to leave out ``[utterances]``.

        Raises:
            InputError: no utterance has a reference.
        """
        outcome = self.outcome if without is None else self.outcome.without(without)
        return outcome.comparison(self.measuring)

    def confidence_quality(self) -> ConfidenceQuality | None:
        """How good the confidences are; None where there are none, or it is not known what was said."""
        return None if self.confidences is None else JudgedWords(self.judged()).quality()

    def judged(self) -> list[Judged]:
        """The confidences of the output, where there are any, beside what was right."""
        if self.confidences is None:
            return []
        texts = self.outcome.chosen[self.tuned.systems.final]
        return self.confidences.judged(self.outcome.references, texts, self.measuring)

    def overlaps(self) -> dict[str, list[bool]]:
        """Which references occur in each model's training text and in the development list, by name of either."""
        return self.outcome.overlaps(self.models, self.tuned)

    def light(self, *, keep_features: bool = False) -> Rescored:
        """The same without its utterances, and without its features unless they are to be kept."""
        return replace(self, utterances=(), choices=self.choices if keep_features else None)

    @classmethod
    def concatenate(cls, parts: Sequence[Rescored]) -> Rescored:
        """Several parts of one list (at least one), in order."""
        features = [part.choices for part in parts if part.choices is not None]
        biased = [part.biased for part in parts if part.biased is not None]
        confident = [part.confidences for part in parts if part.confidences is not None]
        return replace(
            parts[0],
            utterances=tuple(utterance for part in parts for utterance in part.utterances),
            outcome=Outcome.concatenate([part.outcome for part in parts]),
            choices=Choices.concatenate(features) if len(features) == len(parts) else None,
            confidences=Confidences.concatenate(confident) if len(confident) == len(parts) else None,
            biased={name: sum((part[name] for part in biased), BiasedErrors()) for name in biased[0]}
            if biased
            else None,
        )


def rescore(
    utterances: Iterable[Utterance],
    models: Sequence[RescoringModel],
    tuned: Tuned | None = None,
    *,
    kind: ScoreKind | None = None,
    measuring: Measuring | None = None,
    scoring: Scoring | None = None,
    progress: Progress | None = None,
) -> Iterator[Rescored]:
    """A list rescored shard by shard, as the shards are ready; :meth:`Rescored.concatenate` makes one of them.

    Args:
        utterances: the list.
        models: all models.
        tuned: weights; None takes the packaged default weights for the kind of scores that the list has.
        kind: of the first-pass scores, for the default weights; None recognises it.
        measuring: how errors are counted.
        scoring: how hypotheses are scored.
        progress: is told.

    Raises:
        InputError: the list is the one that the weights were tuned on (after its last shard), or empty; a closed
            vocabulary does not fit it; the weights need scores that it lacks.
    """
    measuring, scoring, progress = measuring or Measuring(), scoring or Scoring(), progress or Logged()
    fit = VocabularyFit(progress.warn)
    before = SpokenBefore(scoring.context) if scoring.context else None
    check = DevelopmentCheck()
    part = None
    if tuned is not None:
        kind = tuned.kind
        settle_framings(models, tuned.weights.reading)
    settle_recombination(models, tuned.weights if tuned else None)
    for shard in shards(utterances):
        if tuned is None and kind is None:
            kind = recognised_kind(shard, progress)
        if tuned is None:
            warn_of_foreign(models, progress)
        contexts = before.contexts(shard) if before else None
        scored = _scored(shard, models, kind, measuring, scoring, fit, contexts, progress)
        if tuned is None:
            tuned = Tuned.default(scored.shard, models, kind, _strange(scored.table, models, fit, progress))
        part = _applied(scored, models, tuned, measuring, scoring)
        tuned = part.tuned
        check.add(part.outcome.said, tuned)
        yield part
    if part is None or tuned is None:
        raise InputError("the list is empty, at least one utterance was expected")
    if share := check.refuse(tuned, OVERLAP_WARNING):
        progress.warn(f"{100 * share:.1f} % of the utterances are in the development list, too, with id and reference")


def recognised_kind(shard: Sequence[Utterance], progress: Progress) -> ScoreKind:
    """The kind of the scores; warns where it was hard to tell."""
    if doubt := doubt_of_kind(shard):
        progress.warn(doubt)
    return score_kind(shard)


def rescore_shard(
    shard: Sequence[Utterance],
    models: Sequence[RescoringModel],
    tuned: Tuned,
    measuring: Measuring,
    scoring: Scoring,
    fit: VocabularyFit,
    progress: Progress,
) -> Rescored:
    """One shard of :func:`rescore`, by models that are set as the weights want them, and without context.

    Args:
        shard: utterances that are scored together.
        models, tuned, measuring, scoring, progress: as there.
        fit: is told of the shard's words.

    Raises:
        InputError: as there.
    """
    scored = _scored(shard, models, tuned.kind, measuring, scoring, fit, None, progress)
    return _applied(scored, models, tuned, measuring, scoring)


class _Scored(NamedTuple):
    """A shard with its features, and those of phrases where there are any."""

    shard: Sequence[Utterance]
    table: FeatureTable
    phrased: Phrased | None


def _scored(
    shard: Sequence[Utterance],
    models: Sequence[RescoringModel],
    kind: ScoreKind | None,
    measuring: Measuring,
    scoring: Scoring,
    fit: VocabularyFit,
    contexts: Sequence[Context] | None,
    progress: Progress,
) -> _Scored:
    shard, phrased = with_further_hypotheses(shard, models, scoring, progress=progress)
    table = _table(shard, models, kind, measuring, fit, contexts, scoring.correction is not None, progress)
    return _Scored(shard, table, phrased)


def _applied(
    scored: _Scored, models: Sequence[RescoringModel], tuned: Tuned, measuring: Measuring, scoring: Scoring
) -> Rescored:
    shard, table, phrased = scored
    if phrased is None:
        return _rescored(shard, table, tuned, tuple(models), measuring, scoring)
    tuned, table = tuned.with_fixed_phrases(), phrased.add_to(table)
    part = _rescored(shard, table, tuned, tuple(models), measuring, scoring)
    return replace(part, biased=_biased(part.outcome, phrased, measuring))


def warn_of_foreign(models: Sequence[RescoringModel], progress: Progress) -> None:
    """The packaged weights were tuned for another model."""
    for model in models:
        if model.model.is_foreign:
            progress.warn(
                f"the packaged weights were not tuned for {model.name}, so it gets a part of the packaged model's: "
                "tune on a development list, which also says how its texts begin and end"
            )


def _strange(
    table: FeatureTable, models: Sequence[RescoringModel], fit: VocabularyFit, progress: Progress
) -> list[str]:
    """Names of models that do not know the words of the first hypotheses; each is warned of."""
    starts = table.lists.starts
    heard = [table.texts[row] for row in starts.tolist()]
    known = {model.name: fit.unknown_share(model.name) for model in models}
    return [
        model.name
        for model in models
        if _is_strange(model, heard, table.column(model.name)[starts], known[model.name], progress)
    ]


def strange_models(
    shard: Sequence[Utterance], models: Sequence[RescoringModel], scoring: Scoring, progress: Progress
) -> list[str]:
    """As :func:`rescore` finds them in its first shard; of that, only the first hypotheses are scored."""
    shard, _ = with_further_hypotheses(shard, models, scoring)
    heard = [utterance.hypotheses[0].text for utterance in shard]
    texts = [hypothesis.text for utterance in shard for hypothesis in utterance.hypotheses]
    return [
        model.name
        for model in models
        if _is_strange(
            model, heard, model.scorer.score(heard).log_prob, Misfit.of(model.model, texts).unknown_share, progress
        )
    ]


def _is_strange(
    model: RescoringModel, heard: Sequence[str], log_prob: Values, unknown: float, progress: Progress
) -> bool:
    if is_familiar(model.model, heard, log_prob, unknown):
        return False
    progress.warn(f"the model {model.name!r} does not know the words of this list, so it gets no weight")
    return True


def _biased(outcome: Outcome, phrased: Phrased, measuring: Measuring) -> dict[str, BiasedErrors]:
    """Errors of listed words and of others, by system."""
    return {name: phrased.errors(outcome.references, texts, measuring) for name, texts in outcome.chosen.items()}


def _table(
    shard: Sequence[Utterance],
    models: Sequence[RescoringModel],
    kind: ScoreKind | None,
    measuring: Measuring,
    fit: VocabularyFit,
    contexts: Sequence[Context] | None,
    corrected: bool,
    progress: Progress,
) -> FeatureTable:
    table = feature_table(
        shard,
        models,
        unit=measuring.unit,
        wer_normalizer=measuring.normalizer,
        progress=progress,
        fit=fit,
        contexts=contexts,
        corrected=corrected,
    )
    if kind is None:
        return table
    return table.with_columns([(Column(FIRST_PASS_TOTAL, "first-pass"), first_pass_total(table, kind))])


def _rescored(
    shard: Sequence[Utterance],
    table: FeatureTable,
    tuned: Tuned,
    models: tuple[RescoringModel, ...],
    measuring: Measuring,
    scoring: Scoring,
) -> Rescored:
    decisions = {name: apply(weights, table) for name, weights in tuned.by_system.items()}
    choices = Choices.of(table, [utterance.reference for utterance in shard], decisions)
    final = decisions[tuned.systems.final]
    utterances = reordered(shard, table, final)
    found = confidences(table, tuned.weights, final, models, scoring.acoustics) if scoring.confidence else None
    return Rescored(
        tuple(utterances if found is None else with_confidences(utterances, found)),
        Outcome.of(shard, choices, measuring),
        choices,
        tuned,
        models,
        measuring,
        found,
    )


def reordered(shard: Sequence[Utterance], table: FeatureTable, decisions: Decisions) -> Iterator[Utterance]:
    """Utterances with the chosen hypothesis first, the others by falling total, and the models' scores added.

    A text that the decision rule wrote itself stands before all others, with the scores of the likeliest hypothesis.
    Texts of correctors are left out where the weights do not know them.
    """
    added = [column.name for column in table.columns if column.kind == "model"]
    values = table.features(added).tolist()
    totals = decisions.totals.tolist()
    order = decisions.order(table.lists).tolist()
    written = decisions.choice.texts or (None,) * len(shard)
    begin = 0
    for utterance, text in zip(shard, written, strict=True):
        rows = order[begin : begin + len(utterance.hypotheses)]
        hypotheses = []
        for row in (row for row in rows if totals[row] > -np.inf):
            old = utterance.hypotheses[row - begin]
            scores = {**old.scores, **dict(zip(added, values[row], strict=True))}
            hypotheses.append(msgspec.structs.replace(old, scores=scores, total=totals[row], confidences=None))
        begin += len(rows)
        ordered = tuple(_with_text_first(hypotheses, text))
        yield msgspec.structs.replace(utterance, hypotheses=ordered, confidence=None)


def _with_text_first(hypotheses: list[Hypothesis], text: str | None) -> Iterable[Hypothesis]:
    """The hypotheses with that of the text first; where none has it, one is made after the likeliest."""
    if text is None or not hypotheses:
        return hypotheses
    place = next((n for n, found in enumerate(hypotheses) if " ".join(found.text.split()) == text), None)
    if place is None:
        return chain([msgspec.structs.replace(hypotheses[0], text=text, times=None, corrected=True)], hypotheses)
    return [hypotheses[place], *hypotheses[:place], *hypotheses[place + 1 :]]
