"""The figures of a rescored list: printed, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from asr_lm.evaluation.comparison import Comparison
from asr_lm.evaluation.confidence import ConfidenceQuality
from asr_lm.evaluation.formatting import number
from asr_lm.evaluation.roles import title
from asr_lm.evaluation.table import changes_table, comparison_table, rates_table
from asr_lm.rescoring.evaluation import Evaluation
from asr_lm.text.sentence_hashes import OVERLAP_WARNING
from pipelines import tuning
from pipelines.display import Terminal
from pipelines.normalizing import warn_of_normalizers
from pipelines.options import Common


@dataclass(frozen=True, eq=False)
class Result:
    """A list that was reported on.

    Attributes:
        path: what it is called.
        evaluation: of the list.
        comparison: its figures.
        shares: of the references, by where else they occur: training texts and development list.
        without: figures without the utterances that occur there; None where these are few, or all.
        confidence: how good the confidences are; None where there are none.
    """

    path: str
    evaluation: Evaluation
    comparison: Comparison
    shares: Mapping[str, float]
    without: Comparison | None
    confidence: ConfidenceQuality | None = None

    @classmethod
    def of(cls, path: str, evaluation: Evaluation, terminal: Terminal) -> Result:
        """The figures of a list that has references; warns of overlaps, and keeps how quick the models were."""
        for model in evaluation.models:
            model.scorer.keep_speed()
        shares, left = evaluation.shares, evaluation.left
        large = {name: share for name, share in shares.items() if share > OVERLAP_WARNING}
        for name, share in large.items():
            rest = "figures without them are given, too" if left else "no utterance is left without them"
            terminal.warn(f"{100 * share:.1f} % of the references are in the {name}; {rest}")
        without = evaluation.comparison_without_overlaps() if large and left else None
        comparison = evaluation.comparison()
        warn_of_normalizers(comparison.normalized, comparison.lost, terminal)
        return cls(path, evaluation, comparison, shares, without, evaluation.confidence_quality())

    def print(self, output: Console) -> None:
        """The result table, the words that changed, and the figures without overlapping utterances."""
        output.print(comparison_table(self.comparison))
        if self.comparison.changes:
            output.print()
            output.print(changes_table(self.comparison.changes, 8))
        if self.confidence is not None:
            output.print()
            output.print(self.confidence.text(), markup=False, soft_wrap=True)
        for line in self._of_phrases():
            output.print(line, markup=False, soft_wrap=True)
        for name, share in self.shares.items():
            if share:
                output.print(f"{100 * share:.1f} % of the references are in the {name}", markup=False, soft_wrap=True)
        if self.without is not None:
            output.print(f"\nwithout overlapping utterances ({self.without.with_reference} left):")
            output.print(rates_table(self.without))

    def _of_phrases(self) -> Iterator[str]:
        """A line for each system on words of phrases, where there are any."""
        for name, found in (self.evaluation.biased or {}).items():
            if found.listed_rate is not None:
                yield (
                    f"{title(name)}: {found.listed_rate:.2f} % of {found.listed_words:,} listed words wrong (B-WER), "
                    f"{number(found.other_rate)} % of the others (U-WER)"
                )

    def to_json(self, options: Common, weights: Any, tuned_on: str) -> dict[str, Any]:
        """The result as JSON (rates in percent)."""
        record = self.comparison.to_json(weights, tuned_on)
        if options.unnormalised:
            record["unnormalised"] = list(options.unnormalised)
        if self.evaluation.tuned.development is not None:
            record["chosen"] = self.evaluation.tuned.systems.final
            record["verdict"] = tuning.verdict(self.evaluation.tuned, options.unit).to_json()
        if self.confidence is not None:
            calibration = self.evaluation.tuned.weights.calibration
            record["confidence"] = self.confidence.to_json() | {"dev": calibration.dev if calibration else {}}
        if self.evaluation.biased is not None:
            record["phrases"] = {name: found.to_json() for name, found in self.evaluation.biased.items()}
        record["overlaps"] = {name: 100 * share for name, share in self.shares.items()}
        if self.without is not None:
            record["without_overlaps"] = self.without.to_json()
        return record
