"""What a second pass is told besides its lists, models and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asr_lm.evaluation.tally import Resampled
from asr_lm.evaluation.word_errors import Unit
from asr_lm.rescoring.correction import Correction
from asr_lm.rescoring.phrases.features import Phrases

if TYPE_CHECKING:
    from asr_lm.rescoring.acoustics import Acoustics


@dataclass(frozen=True)
class Measuring:
    """How errors are counted.

    Attributes:
        unit: what is counted.
        normalizer: name of the normaliser both sides go through before they are compared.
        resample: what the intervals are drawn over.
        baseline: name of the system that the others are tested against; None: the re-tuned first pass, or else the
            first pass.
    """

    unit: Unit = "word"
    normalizer: str = "as-is"
    resample: Resampled = "utterance"
    baseline: str | None = None


@dataclass(frozen=True)
class Scoring:
    """How hypotheses are scored.

    Attributes:
        context: utterances of the recording that models read before each one, as the first pass heard them.
        correction: how models correct the list first; None leaves it as it is.
        confidence: whether the words of the output get confidences: calibrated where weights are tuned, computed where
            they are applied.
        phrases: which phrases are expected; None looks for none, not for those that utterances list either.
        acoustics: scores every hypothesis, also what was written, from saved emissions; None leaves the recogniser's
            scores as they are, and what was written borrows them.
    """

    context: int = 0
    correction: Correction | None = None
    confidence: bool = False
    phrases: Phrases | None = None
    acoustics: Acoustics | None = None
