"""Confidences of the output of a second pass: calibrated on the development list, given with every list after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.confidence import ConfidenceQuality, Judged, JudgedWords
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.word_errors import Unit, count_errors
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.protocol import Ranker, language_model
from asr_lm.lm.scoring.words import word_log_probs
from asr_lm.rescoring.confidence.agreement import right_words
from asr_lm.rescoring.confidence.calibration import calibrate
from asr_lm.rescoring.confidence.evidence import Chosen, Evidence
from asr_lm.rescoring.decisions import Decisions, apply
from asr_lm.rescoring.features.lists import Values
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.tuning.tune import FOLDS, assign_folds
from asr_lm.rescoring.weights import Weights
from asr_lm.text.normalizer import get_normalizer

if TYPE_CHECKING:
    from asr_lm.rescoring.acoustics import Acoustics

_DIGITS = 4


@dataclass(frozen=True)
class Confidences:
    """Confidences of the output of a list, from 0 to 1. Parts of a list add up to the whole.

    Attributes:
        words: of each word of each text ``[utterances][words]``.
        utterances: probability of no error in a text, where the expected number of wrong words is that of its words'
            confidences and errors follow Poisson's law ``[utterances]``.
    """

    words: tuple[tuple[float, ...], ...]
    utterances: tuple[float, ...]

    @classmethod
    def concatenate(cls, parts: Sequence[Confidences]) -> Confidences:
        """Several parts of one list, in order."""
        words = chain.from_iterable(part.words for part in parts)
        return cls(tuple(words), tuple(chain.from_iterable(part.utterances for part in parts)))

    def judged(self, references: Sequence[str | None], texts: Sequence[str], measuring: Measuring) -> list[Judged]:
        """Those of texts with a reference, beside what was right."""
        parts = zip(references, texts, self.words, self.utterances, strict=True)
        known = [(said, text, words, whole) for said, text, words, whole in parts if said is not None]
        return [
            Judged(tuple(words), tuple(_right(said, text, measuring).tolist()), whole, *_errors(said, text, measuring))
            for said, text, words, whole in known
        ]

    def quality(
        self, references: Sequence[str | None], texts: Sequence[str], measuring: Measuring
    ) -> ConfidenceQuality | None:
        """How good they are where it is known what was said; None where no text with a reference has a word."""
        return JudgedWords(self.judged(references, texts, measuring)).quality()


def calibrated(
    tuned: Tuned, models: Sequence[RescoringModel], measuring: Measuring, acoustics: Acoustics | None = None
) -> Tuned:
    """The same with confidences of the final system calibrated on its development list.

    Args:
        tuned: with its development list.
        models: all models; jackknife models speak where a model has seen a reference.
        measuring: how errors are counted.
        acoustics: emissions of the development list, which say something of each word.

    Raises:
        InputError: the output on the development list has no word, or there are too few recordings for folds.
    """
    assert tuned.development is not None
    choices, final = tuned.development.choices, tuned.systems.final
    table, weights = choices.table, tuned.by_system[final]
    decisions = apply(weights, table)
    evidence = _evidence(table, weights, decisions, models, acoustics, measuring.unit, choices.references)
    right = [
        _right(said or "", text, measuring)
        for said, text in zip(choices.references, choices.said(final), strict=True)
    ]  # fmt: skip
    folds = assign_folds(table, min(FOLDS, _groups(table)))[evidence.text]
    found, held_out = calibrate(evidence, np.concatenate(right), folds, measuring.unit)
    whole = _as_confidences(held_out, evidence, table, weights, choices.said(final))
    quality = whole.quality(choices.references, choices.said(final), measuring)
    dev = {} if quality is None else quality.figures
    weights = weights.replaced(calibration=msgspec.structs.replace(found, dev=dev))
    return replace(tuned, by_system={**tuned.by_system, final: weights})


def confidences(
    table: FeatureTable,
    weights: Weights,
    decisions: Decisions,
    models: Sequence[RescoringModel],
    acoustics: Acoustics | None = None,
) -> Confidences:
    """Confidences of what was decided.

    Args:
        table, weights: of the list.
        decisions: its output.
        models: all models.
        acoustics: emissions of the list.

    Raises:
        InputError: the weights have no calibration, or one for features that this list lacks.
    """
    if weights.calibration is None:
        raise InputError("these weights have no calibration: tune them with confidences", parameter="confidence")
    evidence = _evidence(table, weights, decisions, models, acoustics, weights.calibration.unit)
    found = weights.calibration.confidences(evidence)
    return _as_confidences(found, evidence, table, weights, _texts(table, decisions))


def with_confidences(utterances: Iterable[Utterance], found: Confidences) -> Iterator[Utterance]:
    """The utterances with confidences of their first hypotheses' words, and of their texts."""
    for utterance, words, whole in zip(utterances, found.words, found.utterances, strict=True):
        first, *others = utterance.hypotheses
        first = msgspec.structs.replace(first, confidences=words)
        yield msgspec.structs.replace(utterance, hypotheses=(first, *others), confidence=whole)


def _evidence(
    table: FeatureTable,
    weights: Weights,
    decisions: Decisions,
    models: Sequence[RescoringModel],
    acoustics: Acoustics | None,
    unit: Unit,
    references: Sequence[str | None] | None = None,
) -> Evidence:
    split = metric(unit).tokens
    texts = _texts(table, decisions)
    log_probs = {
        model.name: found
        for model in models
        if metric(unit).separator and (found := _log_probs(model, table.utterances, texts, references)) is not None
    }
    sound = None
    if acoustics is not None and metric(unit).separator:
        sound = list(map(acoustics.word_evidence, table.utterances, texts))
    totals = weights.scale * decisions.totals
    return Chosen(
        table, totals, decisions.rows, list(map(split, texts)), list(map(split, table.texts)), log_probs, sound
    ).evidence()


def _texts(table: FeatureTable, decisions: Decisions) -> list[str]:
    written = decisions.choice.texts
    return list(written) if written is not None else [table.texts[row] for row in decisions.rows.tolist()]


def _log_probs(
    model: RescoringModel,
    ids: Sequence[str],
    texts: Sequence[str],
    references: Sequence[str | None] | None,
) -> list[Values | None] | None:
    """Log-probabilities of words; None for a model that has none.

    Where references are given they are of a development list: a model that has not seen the reference speaks.
    """
    if references is None:
        return _of_words(model.model, texts)
    heard = [
        Utterance(identity, (Hypothesis(text),), reference)
        for identity, text, reference in zip(ids, texts, references, strict=True)
    ]
    found: list[Values | None] = [None] * len(texts)
    for scorer, members in model.unseen_parts(heard):
        part = _of_words(scorer.model, [texts[member] for member in members])
        if part is None:
            return None
        for member, values in zip(members, part, strict=True):
            found[member] = values
    return found


def _of_words(ranker: Ranker, texts: Sequence[str]) -> list[Values | None] | None:
    try:
        model = language_model(ranker)
        normalize = get_normalizer(model.normalizer)
        read = [normalize(text) for text in texts]
        scored = model.token_log_probs(model.vocabulary.encode_batch(read))
        pairs = zip(read, scored, strict=True)
        found = [np.asarray(word_log_probs(model.vocabulary, *pair), dtype=np.float64) for pair in pairs]
    except InputError:  # it ranks whole texts, or does not cut a sentence at its words
        return None
    return [values if len(values) == len(text.split()) + 1 else None for values, text in zip(found, texts, strict=True)]


def _as_confidences(
    probabilities: Values, evidence: Evidence, table: FeatureTable, weights: Weights, texts: Sequence[str]
) -> Confidences:
    """Confidences by utterance; of an empty text the posterior of the hypotheses without a word."""
    lengths = np.bincount(evidence.text, minlength=evidence.texts)
    words = np.split(probabilities, np.cumsum(lengths)[:-1])
    posteriors = apply(weights, table).posteriors
    silent = np.array([not text.split() for text in table.texts])
    empty = table.lists.total(np.where(silent, posteriors, 0.0))
    whole = [
        math.exp(-float((1 - found).sum())) if len(found) else float(empty[place])
        for place, found in enumerate(words)
    ]  # fmt: skip
    return Confidences(
        tuple(tuple(round(value, _DIGITS) for value in found.tolist()) for found in words),
        tuple(_significant(value) for value in whole),
    )


def _significant(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else 0.0


def _groups(table: FeatureTable) -> int:
    pairs = zip(table.utterances, table.recordings, strict=True)
    return len({("utterance", name) if recording is None else ("recording", recording) for name, recording in pairs})


def _right(reference: str, text: str, measuring: Measuring) -> NDArray[np.bool_]:
    """Which words of a text are right after both sides are normalised; one that vanishes then is right."""
    normalize = get_normalizer(measuring.normalizer)
    split: Callable[[str], list[str]] = metric(measuring.unit).tokens
    words = split(text)
    read = [split(normalize(word)) for word in words]
    right = right_words(split(normalize(reference)), list(chain.from_iterable(read)))
    ends = np.cumsum([len(parts) for parts in read], dtype=np.int64)
    return np.array(
        [bool(right[end - len(parts) : end].all()) for end, parts in zip(ends.tolist(), read, strict=True)], dtype=bool
    )


def _errors(reference: str, text: str, measuring: Measuring) -> tuple[int, int]:
    """Errors of a text, and units of its reference."""
    normalize = get_normalizer(measuring.normalizer)
    counts = count_errors([normalize(reference)], [normalize(text)], measuring.unit)[0]
    return int(counts[:3].sum()), int(counts[3])
