"""Everything a report says, as values: one row a system with all its figures, for every list reported on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import Interval
from asr_lm.evaluation.comparison import Comparison, SystemResult
from asr_lm.evaluation.confidence import ConfidenceQuality
from asr_lm.evaluation.perplexity import Perplexity, measure
from asr_lm.evaluation.roles import BOUNDS
from asr_lm.lm.protocol import Ranker
from asr_lm.rescoring.choices import Choices
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.systems import Systems
from asr_lm.rescoring.tuning.flatness import weight_curve
from asr_lm.rescoring.weights import Weights


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model apart from its errors.

    Attributes:
        name: of its column.
        family: of the model.
        parameters: free parameters, or stored n-grams.
        speed: hypotheses scored a second, as last computed; None where that was never measured.
    """

    name: str
    family: str
    parameters: int
    speed: float | None

    @classmethod
    def of(cls, model: RescoringModel) -> ModelFacts:
        """Facts of a model after scoring."""
        return cls(model.name, model.model.family, model.model.parameters, model.scorer.speed)


@dataclass(frozen=True, eq=False)
class ReportedList:
    """A list reported on.

    Attributes:
        name: what it is called.
        choices: the list and what each system chose.
        comparison: its error rates.
        perplexity: of each model on the references; None where it cannot be measured.
        confidence: how good the confidences are; None where there are none.
    """

    name: str
    choices: Choices
    comparison: Comparison
    perplexity: Mapping[str, Perplexity | None] = field(default_factory=dict)
    confidence: ConfidenceQuality | None = None


@dataclass(frozen=True)
class Row:
    """One system in full.

    Attributes:
        result: errors, intervals, differences.
        members: names of its models.
        parameters: of its models together; None for a system without a model.
        speed: hypotheses a second with all its models one after another; None where one was not measured.
        perplexity: of its model on the references, a word, over positions known to all models; None unless it has
            exactly one model; a pseudo-perplexity is none.
        weights: of its features; None for the first pass as it came and for bounds.
        flat: for each feature the interval of its weight within which the error rate on the development list stays
            within :data:`asr_lm.rescoring.tuning.flatness.TOLERANCE` points; None without a development list.
    """

    result: SystemResult
    members: tuple[str, ...]
    parameters: int | None
    speed: float | None
    perplexity: float | None
    weights: Weights | None
    flat: Mapping[str, Interval] | None

    def to_json(self) -> dict[str, Any]:
        """What ``compare --json`` adds to a system's record; null is an open end, or what could not be measured."""
        flat = None
        if self.flat is not None:
            flat = {name: [_finite(interval.low), _finite(interval.high)] for name, interval in self.flat.items()}
        return {
            "models": list(self.members),
            "parameters": self.parameters,
            "hypotheses_per_second": self.speed,
            "perplexity": self.perplexity,
            "flat_within": flat,
        }


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


@dataclass(frozen=True, eq=False)
class ReportContents:
    """All of a report.

    Attributes:
        lists: the lists reported on, at least one.
        systems: those whose weights are here, and which of them decides.
        weights: by system, in the order of the table.
        models: facts of every model, in the order given.
        measuring: how errors were counted.
        tuned_on: what the weights come from.
        development: the development list, where weights were tuned in this run.
        notes: what a reader must know, one sentence each.
        language_models: the models themselves, for the words' log-probabilities.
        held_out: what a check on held-out utterances says of the tuning, one sentence each.
    """

    lists: Sequence[ReportedList]
    systems: Systems
    weights: Mapping[str, Weights]
    models: Sequence[ModelFacts]
    measuring: Measuring
    tuned_on: str
    development: Choices | None = None
    notes: Sequence[str] = ()
    language_models: Sequence[Ranker] = ()
    held_out: Sequence[str] = ()

    def members(self, system: str) -> tuple[str, ...]:
        """Names of the models of a system."""
        values = self.weights[system].values if system in self.weights else {}
        return tuple(model.name for model in self.models if model.name in values)

    @cached_property
    def headline(self) -> str:
        """The system a reader should look at: the one that decides, if it has a model.

        Where the first pass is kept, with its weights or re-tuned, it is the system with the lowest error rate on the
        development list; of equal ones the one with fewer models, then the first. It is never chosen by what it does on
        a list reported on.
        """
        # Another decision rule is another choice by the same scores, which the sliders do not make.
        able = [row.name for row in self.systems.own_weights if row.models]
        if self.systems.final in able or not able:
            return self.systems.final
        return min(able, key=lambda name: (self.weights[name].dev.get("wer", 0.0), len(self.members(name))))

    @property
    def chosen(self) -> str:
        """The system that decides, whose row stands out."""
        return self.systems.final

    @property
    def weighted(self) -> dict[str, Weights]:
        """The systems whose weights differ from those of the systems before them, with their weights."""
        found: dict[str, Weights] = {}
        for name, weights in self.weights.items():
            if all(weights.values != other.values for other in found.values()):
                found[name] = weights
        return found

    @cached_property
    def flat(self) -> dict[str, dict[str, Interval]]:
        """See :attr:`Row.flat`, by system; empty without a development list."""
        if self.development is None:
            return {}
        return {name: self._flat(self.development, weights) for name, weights in self.weights.items()}

    def _flat(self, development: Choices, weights: Weights) -> dict[str, Interval]:
        curves = {name: weight_curve(development.table, weights, name) for name in weights.values}
        return {name: curve.flat() for name, curve in curves.items() if curve is not None}

    def rows(self, reported: ReportedList) -> list[Row]:
        """The systems of a list, in the order of the table."""
        return [self._row(result, reported) for result in reported.comparison.systems]

    def _row(self, result: SystemResult, reported: ReportedList) -> Row:
        members = self.members(result.name)
        facts = [model for model in self.models if model.name in members]
        speeds = [model.speed for model in facts]
        seconds = [1.0 / speed for speed in speeds if speed is not None]
        measured = reported.perplexity.get(members[0]) if len(members) == 1 else None
        return Row(
            result=result,
            members=members,
            parameters=sum(model.parameters for model in facts) if facts else None,
            speed=1.0 / sum(seconds) if seconds and len(seconds) == len(speeds) else None,
            perplexity=None if measured is None or measured.pseudo else _finite(measured.per_compared_word),
            weights=None if result.name in BOUNDS else self.weights.get(result.name),
            flat=self.flat.get(result.name),
        )


def perplexities(models: Sequence[RescoringModel], references: Sequence[str | None]) -> dict[str, Perplexity | None]:
    """Perplexity of each model on the references.

    None for models that give words no probability, and for all where their words cannot be compared.
    """
    said = [reference for reference in references if reference is not None]
    trial = [reference for reference in said if reference.split()][:1]
    able = [model for model in models if _measured([model], trial)]
    measured = dict(zip([model.name for model in able], _measured(able, said), strict=False))
    return {model.name: measured.get(model.name) for model in models}


def _measured(models: Sequence[RescoringModel], said: Sequence[str]) -> list[Perplexity]:
    """Perplexities of models together; none where they have none, or normalisers cut words differently."""
    try:
        return list(measure([model.model for model in models], said)) if models else []
    except InputError:
        return []
