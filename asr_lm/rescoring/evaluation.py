"""The evaluation of a rescored list as its parts go by: figures and counts, no text of any utterance."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.evaluation.biased_errors import BiasedErrors
from asr_lm.evaluation.comparison import Comparison, comparison_of
from asr_lm.evaluation.confidence import ConfidenceQuality, JudgedWords
from asr_lm.evaluation.normalized_rate import MOST
from asr_lm.evaluation.roles import CORRECTED
from asr_lm.evaluation.tally import Tally
from asr_lm.rescoring.outcome import CorrectionReport, Outcome
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.second_pass import Rescored
from asr_lm.rescoring.settings import Measuring
from asr_lm.rescoring.tuned import Tuned


class Evaluation:
    """What is known of the parts of a list so far. At least one part has to be added before it is asked.

    Attributes:
        tuned: the weights that were applied.
        models: the models that scored.
        measuring: how errors are counted.
        utterances: how many there are.
        shares: of the references, by where else they occur: training texts and development list.
        left: utterances with a reference that occurs in none of these.
        biased: errors of listed phrases' words and of others by system; None where no phrases were asked for.
    """

    tuned: Tuned
    models: tuple[RescoringModel, ...]
    measuring: Measuring

    def __init__(self, sampled: int = MOST) -> None:
        """Args: sampled: see :class:`~asr_lm.evaluation.tally.Tally`; what is merged later samples all."""
        self.utterances = 0
        self._sampled = sampled
        self.biased: dict[str, BiasedErrors] | None = None
        self._whole: _Counted | None = None
        self._without: _Counted | None = None
        self._found: dict[str, int] = {}
        self._confident: JudgedWords | None = None

    @classmethod
    def of(cls, parts: Iterable[Rescored]) -> Evaluation:
        """That of all parts of a list."""
        evaluation = cls()
        for part in parts:
            evaluation.add(part)
        return evaluation

    def add(self, part: Rescored, judged: JudgedWords | None = None) -> None:
        """The next part of the list, and its words with what was right where the part does not know them any more."""
        if self._whole is None:
            self._whole = _Counted.empty(part, self._sampled)
        self.tuned, self.models, self.measuring = part.tuned, part.models, part.measuring
        self.utterances += len(part.outcome)
        overlapping = self._overlapping(part)
        if overlapping.any() and self._without is None:
            self._without = copy.deepcopy(self._whole)
        if self._without is not None:
            self._without.add(part.outcome.without(overlapping.tolist()) if overlapping.any() else part.outcome)
        self._whole.add(part.outcome)
        self._add_confidences(judged if part.confidences is None else JudgedWords(part.judged()))
        self._add_biased(part.biased)

    def merge(self, other: Evaluation) -> None:
        """The evaluation of the parts that follow, as if they had been added here.

        What weighs much, models and weights, stays as it is here.
        """
        counted = other._counted
        if self._whole is None:
            self._whole = counted.like(self._sampled)
        self.utterances += other.utterances
        if self._without is None and other._without is not None:
            self._without = copy.deepcopy(self._whole)
        if self._without is not None:
            self._without.merge(other._without or counted)
        self._whole.merge(counted)
        for name, found in other._found.items():
            self._found[name] = self._found.get(name, 0) + found
        self._add_confidences(other._confident)
        self._add_biased(other.biased)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("models", "tuned")}

    def _add_biased(self, some: Mapping[str, BiasedErrors] | None) -> None:
        for name, found in (some or {}).items():
            self.biased = self.biased or {}
            self.biased[name] = self.biased.get(name, BiasedErrors()) + found

    def _overlapping(self, part: Rescored) -> NDArray[np.bool_]:
        """Which references occur in a training text or in the development list ``[utterances]``."""
        flags = np.zeros(len(part.outcome), dtype=bool)
        for name, found in part.overlaps().items():
            self._found[name] = self._found.get(name, 0) + sum(found)
            flags |= np.array(found, dtype=bool)
        return flags

    def _add_confidences(self, judged: JudgedWords | None) -> None:
        if judged is not None:
            self._confident = self._confident or JudgedWords()
            self._confident.merge(judged)

    @property
    def with_reference(self) -> int:
        """Utterances that have a reference."""
        return self._counted.tally.with_reference

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems, in the order of the table."""
        return self._counted.tally.systems

    @property
    def shares(self) -> dict[str, float]:
        """See :class:`Evaluation`."""
        return {name: found / max(self.with_reference, 1) for name, found in self._found.items()}

    @property
    def left(self) -> int:
        """See :class:`Evaluation`."""
        return self.with_reference if self._without is None else self._without.tally.with_reference

    @property
    def _counted(self) -> _Counted:
        assert self._whole is not None, "no part was added"
        return self._whole

    def comparison(self) -> Comparison:
        """Error rates of all systems with intervals and tests.

        Raises:
            InputError: no utterance has a reference.
        """
        return comparison_of(self._counted.tally)

    def comparison_without_overlaps(self) -> Comparison:
        """The same without utterances whose references occur elsewhere."""
        return comparison_of((self._without or self._counted).tally)

    def confidence_quality(self) -> ConfidenceQuality | None:
        """How good the confidences are; None where there are none, or it is not known what was said."""
        return None if self._confident is None else self._confident.quality()

    def correction_report(self) -> CorrectionReport | None:
        """What correction did; None without a system that corrects."""
        return self._counted.correction

    def correction_report_without_overlaps(self) -> CorrectionReport | None:
        """The same without overlapping utterances; None where there is none, or nothing is left."""
        return None if self._without is None or not self.left else self._without.correction


@dataclass
class _Counted:
    """The counts over some utterances of a list."""

    tally: Tally
    correction: CorrectionReport | None = field(default=None)

    @classmethod
    def empty(cls, part: Rescored, sampled: int) -> _Counted:
        how = part.measuring
        names: Sequence[str] = tuple(part.outcome.chosen)
        return cls(
            Tally(
                names,
                baseline=how.baseline,
                unit=how.unit,
                resample=how.resample,
                normalizer=how.normalizer,
                sampled=sampled,
            )
        )

    def like(self, sampled: int) -> _Counted:
        """One of the same systems that has counted nothing."""
        one = self.tally
        how = {"baseline": one.baseline, "unit": one.unit, "resample": one.resample, "normalizer": one.normalizer}
        return _Counted(Tally(one.systems, **how, sampled=sampled))  # type: ignore[arg-type]

    def merge(self, other: _Counted) -> None:
        self.tally.merge(other.tally)
        self._add_correction(other.correction)

    def add(self, outcome: Outcome) -> None:
        self.tally.add(outcome.references, outcome.chosen, outcome.recordings)
        if CORRECTED in outcome.chosen:
            self._add_correction(outcome.correction_report())

    def _add_correction(self, found: CorrectionReport | None) -> None:
        if found is not None:
            self.correction = found if self.correction is None else self.correction + found
