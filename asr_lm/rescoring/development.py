"""From a development list to weights: every model scores it, every system is tuned on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from asr_lm.errors import InputError
from asr_lm.evaluation.roles import FIRST_PASS
from asr_lm.evaluation.word_errors import ErrorCounts, count_errors
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.progress import Logged, Progress
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.confidence.confidences import calibrated
from asr_lm.rescoring.decisions import apply, choosable_table
from asr_lm.rescoring.features.table import RANK, FeatureTable
from asr_lm.rescoring.framing import choose_framings
from asr_lm.rescoring.further_hypotheses import with_further_hypotheses
from asr_lm.rescoring.recombination import choose_recombination
from asr_lm.rescoring.rules.registry import rule
from asr_lm.rescoring.scoring.context import SpokenBefore
from asr_lm.rescoring.scoring.models import RescoringModel, check_score_names, feature_table
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.systems import System, Systems
from asr_lm.rescoring.tuned import Development, Tuned
from asr_lm.rescoring.tuning.choose import Check, HeldOut, Signs, check_held_out, system_weights, with_shrunk
from asr_lm.rescoring.tuning.tune import tune_weights
from asr_lm.rescoring.weights import Weights
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.sentence_hashes import SentenceHashes


def tune(
    utterances: Iterable[Utterance],
    models: Sequence[RescoringModel],
    systems: Systems,
    *,
    measuring: Measuring | None = None,
    scoring: Scoring | None = None,
    signs: Signs | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Tuned:
    """Weights of several systems, tuned on one development list.

    Args:
        utterances: the list; those without a reference are of no use.
        models: all models.
        systems: what is tuned. One never does worse on this list than a smaller one that it contains, phrases aside.
        measuring: how errors are counted.
        scoring: how hypotheses are scored.
        signs: of weights, by model or first-pass score; a model to be subtracted gets -1.
        force: the final system of ``systems`` decides even where it does not win held out.
        progress: is told.

    Returns:
        The weights. Which system decides (``systems.final``) is what held-out utterances say (:mod:`choose
        <asr_lm.rescoring.tuning.choose>`): the first pass, one of ``systems``, or a further row.

    Raises:
        InputError: no reference, a sign for something that is neither a model nor a first-pass score, or as scoring
            and tuning raise it.
    """
    measuring, scoring, signs = measuring or Measuring(), scoring or Scoring(), dict(signs or {})
    listed = list(utterances)
    framings = choose_framings(models, [said for utterance in listed if (said := utterance.reference) is not None])
    known, score = _scored(listed, models, measuring, scoring, signs, progress or Logged())
    references = [utterance.reference or "" for utterance in known]
    table, recombination = score(), None
    chosen, weights, held_out = tune_systems(table, systems, signs, force=force)
    if any(model.chooses_recombination for model in models):
        asked = {row.name: weights[row.name] for row in chosen.rows if row.models}
        recombination, table = choose_recombination(models, table, asked, references, score, measuring)
        if recombination.words:
            chosen, weights, held_out = tune_systems(table, systems, signs, force=force)
    recombined = max((model.recombined for model in models), default=0)
    reading = {name: str(framing.options) for name, framing in framings.items()}
    weights = {name: found.replaced(recombined=recombined, reading=reading) for name, found in weights.items()}
    choices = Choices.of(table, references, {name: apply(found, table) for name, found in weights.items()})
    tuned = Tuned(
        chosen,
        _with_written(weights, choices, measuring),
        {model.name: model.model.fingerprint() for model in models},
        Development(
            SentenceHashes.from_sentences(references),
            frozenset((utterance.id, utterance.reference or "") for utterance in known),
            {model.name: model.overlap(known) for model in models},
            held_out.best if held_out.best and not force else _check_of_final(table, systems, signs, held_out),
            held_out.first_pass,
            held_out.expected,
            choices,
            recombination,
            framings,
        ),
    )
    return calibrated(tuned, models, measuring, scoring.acoustics) if scoring.confidence else tuned


def tune_systems(
    table: FeatureTable, systems: Systems, signs: Signs | None = None, *, force: bool = False
) -> tuple[Systems, dict[str, Weights], HeldOut]:
    """Weights of several systems from the features of a development list, and which of them decides.

    Args:
        table: the development list.
        systems: what is tuned.
        signs: as in :func:`tune`.
        force: as in :func:`tune`.

    Returns:
        The systems, with the one that decides, which may be a further row; weights by name, those that keep the
        recogniser's order among them where the first pass decides; what the folds say.
    """
    chosen, held_out = choose_system(table, systems, signs, force=force)
    weights = tune_rows(table, chosen.rows, systems, signs)
    if chosen.final == FIRST_PASS:
        weights[FIRST_PASS] = tune_weights(choosable_table(table, [RANK]), [RANK])
    return chosen, weights, held_out


def choose_system(
    table: FeatureTable, systems: Systems, signs: Signs | None = None, *, force: bool = False
) -> tuple[Systems, HeldOut]:
    """Which system decides, and what the folds say; arguments as in :func:`tune_systems`."""
    signs = signs or {}
    candidates = (systems[systems.final],) if force else with_shrunk(systems.candidates(signs))
    held_out = check_held_out(table, candidates, signs)
    best = held_out.best
    return (systems if force else systems.choosing(best.system if best else None)), held_out


def _check_of_final(table: FeatureTable, systems: Systems, signs: Signs, held_out: HeldOut) -> Check | None:
    """What the folds say of the final system, by whose weights a reader sees what tuning would have done."""
    return held_out.of(systems.final) or check_held_out(table, [systems[systems.final]], signs).of(systems.final)


def tune_rows(
    table: FeatureTable, rows: Sequence[System], systems: Systems, signs: Signs | None = None
) -> dict[str, Weights]:
    """Weights of some systems by name, each given those of the systems before it.

    Args:
        table: the development list.
        rows: what is tuned; a system stands after those whose weights it takes or begins from.
        systems: all systems.
        signs: as in :func:`tune`.
    """
    weights: dict[str, Weights] = {}
    for system in rows:
        weights[system.name] = _tuned(table, system, systems, weights, signs or {})
    return weights


def _scored(
    utterances: Sequence[Utterance],
    models: Sequence[RescoringModel],
    measuring: Measuring,
    scoring: Scoring,
    signs: Signs,
    progress: Progress,
) -> tuple[list[Utterance], Callable[[], FeatureTable]]:
    """The utterances that have a reference, corrected where that is asked for, and what makes all their features.

    Models that are to choose which histories they tell apart tell all of them apart.
    """
    for model in models:
        if model.chooses_recombination:
            model.choose_recombination(0)
    before = SpokenBefore(scoring.context).contexts(utterances) if scoring.context else None
    kept = [number for number, utterance in enumerate(utterances) if utterance.reference is not None]
    known = [utterances[number] for number in kept]
    if not known:
        raise InputError("no utterance of the development list has a reference, so no weights can be found")
    check_score_names(known, models)
    _check_signs(signs, known[0], models)
    references = [utterance.reference or "" for utterance in known]
    known, phrased = with_further_hypotheses(known, models, scoring, development=True, progress=progress)

    def features() -> FeatureTable:
        table = feature_table(
            known,
            models,
            development=True,
            unit=measuring.unit,
            wer_normalizer=measuring.normalizer,
            progress=progress,
            contexts=None if before is None else [before[number] for number in kept],
            corrected=scoring.correction is not None,
        )
        if phrased is None or scoring.phrases is None:
            return table
        table = phrased.add_to(table)
        return table if scoring.phrases.trusted else table.with_columns([phrased.unsaid(references)])

    return known, features


def _check_signs(signs: Signs, utterance: Utterance, models: Sequence[RescoringModel]) -> None:
    scores = [*(model.name for model in models), *utterance.hypotheses[0].scores]
    if stray := [name for name in signs if name not in scores]:
        raise InputError(
            f"no model and no first-pass score is called {stray[0]!r}; there are {', '.join(scores)}",
            parameter="subtract",
        )


def _tuned(
    table: FeatureTable, system: System, systems: Systems, found: Mapping[str, Weights], signs: Signs
) -> Weights:
    """Weights of one system, given those of the systems before it."""
    if system.weights_of is not None:
        base = found[system.weights_of]
        return rule(system.rule).tune(base, choosable_table(table, base.features))
    features = system.features(table)
    table = choosable_table(table, features)
    smaller = [found[row.name] for row in systems.rows if row.name in found and system.contains(row)]
    starts = [weights.values for weights in smaller if set(weights.values) <= set(features)]
    return rule(system.rule).tune(system_weights(table, system, signs, starts), table)


def _with_written(weights: Mapping[str, Weights], choices: Choices, measuring: Measuring) -> dict[str, Weights]:
    """The weights, each with the error rate of what its rule really says where that need not be a hypothesis."""
    normalize = get_normalizer(measuring.normalizer)
    said = [normalize(reference or "") for reference in choices.references]
    found = dict(weights)
    for name, texts in choices.texts.items():
        errors = ErrorCounts.from_counts(count_errors(said, list(map(normalize, texts)), measuring.unit))
        found[name] = found[name].replaced(dev={**found[name].dev, "wer": float(errors.rate or 0.0)})
    return found
