"""Reports of invented lists, with models whose log-probabilities are known."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr_lm.evaluation.comparison import compare
from asr_lm.evaluation.roles import RETUNED
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.report.contents import ModelFacts, ReportContents, ReportedList
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.systems import System, Systems
from asr_lm.rescoring.tuning.tune import tune_weights
from asr_lm.rescoring.weights import Weights
from asr_lm.text.vocabulary import WordVocabulary

WORDS = (
    "the",
    "a",
    "ferry",
    "harbour",
    "captain",
    "rain",
    "is",
    "was",
    "late",
    "again",
    "over",
    "old",
    "small",
    "light",
)


class LetterModel(LanguageModel):
    """Each word costs a tenth of a nat a letter, the end of the sentence one."""

    family = "letters"
    normalizer = "as-is"
    vocabulary = WordVocabulary(WORDS)
    parameters = 1_234_567

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        spelled = self.vocabulary.tokens
        return [np.array([*(-0.1 * len(spelled[token]) for token in sentence), -1.0]) for sentence in sentences]

    def fingerprint(self) -> str:
        return hashlib.sha256(b"letters").hexdigest()

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def utterances(count: int, hypotheses: int, seed: int, words: Sequence[str] = WORDS) -> list[Utterance]:
    """Lists around invented sentences, with a score of the first pass that has two decimals and says something."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        said = [draw.choice(words) for _ in range(draw.randrange(2, 12))]
        texts = []
        for _ in range(hypotheses):
            heard = [draw.choice(words) if draw.random() < 0.18 else word for word in said if draw.random() > 0.05]
            texts.append(" ".join(heard))
        scored = []
        for text in dict.fromkeys(texts):
            wrong = sum(one != other for one, other in zip(said, text.split(), strict=False))
            scored.append(Hypothesis(text, {"acoustic": round(-wrong + draw.gauss(-9, 2), 2)}))
        scored.sort(key=lambda hypothesis: -hypothesis.scores["acoustic"])
        made.append(Utterance(f"u{number:04}", tuple(scored), " ".join(said), f"r{number // 4}"))
    return made


def choices(table: FeatureTable, references: Sequence[str | None], weights: dict[str, Weights]) -> Choices:
    """What weights choose."""
    return Choices.of(table, references, {name: apply(value, table) for name, value in weights.items()})


def feature_table(lists: Sequence[Utterance], seed: int, unit: str = "word") -> FeatureTable:
    """Features with a model's column of full double precision."""
    noise = np.random.default_rng(seed)
    plain = FeatureTable.from_utterances(lists, unit=unit)
    scores = (
        -np.maximum(plain.errors.sum(1), 0) * 0.7 - 3 * plain.column("words") + noise.standard_normal(len(plain.texts))
    )
    other = (
        -np.maximum(plain.errors.sum(1), 0) * 0.4 - 2 * plain.column("words") + noise.standard_normal(len(plain.texts))
    )
    return FeatureTable.from_utterances(lists, {"harbour": scores, "sea <b>": other}, unit=unit)


def contents(
    tests: Sequence[Sequence[Utterance]], development: Sequence[Utterance], unit: str = "word", strips: bool = True
) -> ReportContents:
    """A whole report: weights tuned on ``development``, ``tests`` reported on."""
    table = feature_table(development, 0, unit)
    systems: dict[str, tuple[str, ...]] = {
        RETUNED: (),
        "harbour": ("harbour",),
        "harbour + sea <b>": ("harbour", "sea <b>"),
    }
    own = [name for name in table.default_features() if name not in ("harbour", "sea <b>")]
    weights = {name: tune_weights(table, [*own, *members]) for name, members in systems.items()}
    reported = []
    for number, lists in enumerate(tests):
        found = choices(feature_table(lists, number + 1, unit), [u.reference for u in lists], weights)
        texts = {name: found.said(name) for name in found.rows}
        comparison = compare(found.references, texts, unit=unit)
        reported.append(ReportedList(f"test{number}.json", found, comparison, {"harbour": None, "sea <b>": None}))
    return ReportContents(
        lists=reported,
        systems=Systems(tuple(System(name, members) for name, members in systems.items()), list(systems)[-1]),
        weights=weights,
        models=[ModelFacts("harbour", "letters", 1_234_567, 4321.0), ModelFacts("sea <b>", "letters", 5, None)],
        measuring=Measuring(unit=unit),
        tuned_on="dev.json",
        development=choices(table, [u.reference for u in development], weights),
        notes=["a note with <i>signs</i>"],
        language_models=[LetterModel(), LetterModel()] if strips else [],
    )
