"""Several systems on the same utterances: error rates, how sure they are, and what each step was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import RESAMPLES, SEED, Interval, PairedDifference, Resamples
from asr_lm.evaluation.matched_pairs import MatchedPairs
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.normalized_rate import NormalizedRate
from asr_lm.evaluation.oracle_gap import gap_closed
from asr_lm.evaluation.roles import BOUNDS, FIRST_PASS, ORACLE, RESCORED, ROLES
from asr_lm.evaluation.tally import Resampled, Tally
from asr_lm.evaluation.word_changes import WordChange, most_broken, most_fixed
from asr_lm.evaluation.word_errors import ErrorCounts, Unit

# Words fixed and broken that go into the JSON form.
WORDS_SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """A system against another one that came before it.

    Attributes:
        against: name of the other system.
        rate: the paired difference of the error rates, in percentage points; negative is better.
        test: the matched-pairs test of the same difference.
    """

    against: str
    rate: PairedDifference
    test: MatchedPairs


@dataclass(frozen=True)
class SystemResult:
    """What one system got right and wrong.

    Attributes:
        name: one of :data:`~asr_lm.evaluation.roles.ROLES`, or the name the user gave.
        counts: its errors.
        interval: 95 % interval of its error rate in percent; None where there is one utterance or no reference word.
        gap_closed: share of the way from the first pass to the oracle; None without an oracle or without a gap.
        against_baseline: the difference to the baseline; None for the baseline itself and for bounds.
        against_above: the difference to the system in the row above; None for the first row and for bounds.
        against_first_pass: the difference to the first pass; None for the first pass itself and for bounds.
    """

    name: str
    counts: ErrorCounts
    interval: Interval | None
    gap_closed: float | None
    against_baseline: Difference | None
    against_above: Difference | None
    against_first_pass: Difference | None


@dataclass(frozen=True)
class Comparison:
    """The systems of one evaluation, in the order they were given.

    Attributes:
        systems: one result a system.
        baseline: name of the system the others are tested against.
        unit: what was counted.
        resampled: what the intervals were drawn over.
        normalizer: name of the normaliser the texts went through before they were compared.
        utterances: utterances given.
        with_reference: utterances with a reference, which all figures are over.
        units: utterances or recordings drawn from.
        changes: words fixed or broken from the baseline to the :attr:`final` system.
        normalized: the first pass's error rate with another normaliser, where it differs by more than a point.
        lost: what the normaliser lost of the references, where that is worth telling.

    >>> found = compare(["the ferry is late"], {"first_pass": ["the fairy is late"], "rescored": ["the ferry is late"]})
    >>> found["first_pass"].counts.rate, found["rescored"].counts.rate
    (25.0, 0.0)
    """

    systems: tuple[SystemResult, ...]
    baseline: str
    unit: Unit
    resampled: Resampled
    normalizer: str
    utterances: int
    with_reference: int
    units: int
    changes: tuple[WordChange, ...]
    normalized: NormalizedRate | None = None
    lost: str | None = None

    def __getitem__(self, name: str) -> SystemResult:
        return next(result for result in self.systems if result.name == name)

    def __contains__(self, name: str) -> bool:
        return any(result.name == name for result in self.systems)

    def to_json(self, weights: Mapping[str, float] | None = None, tuned_on: str | None = None) -> dict[str, Any]:
        """The comparison as the commands write it with ``--json``.

        Each system of :data:`ROLES` stands under its name, others under ``systems``. Rates, intervals and differences
        are in percent (under the metric's key, such as ``wer``), ``gap_closed`` is a share; null is
        what could not be computed.

        Args:
            weights: the weights of the rescored list by score.
            tuned_on: what they were tuned on.
        """
        results = {result.name: _system_json(result, self.unit) for result in self.systems}
        record: dict[str, Any] = {name: results.pop(name) for name in list(results) if name in ROLES}
        if results:
            record["systems"] = results
        if RESCORED in self:
            record["gap_closed"] = self[RESCORED].gap_closed
        if weights is not None:
            record["weights"] = dict(weights)
        if tuned_on is not None:
            record["tuned_on"] = tuned_on
        if self.normalized is not None:
            record["normalized"] = self.normalized.to_json()
        return record | self._circumstances() | {"words": self._words()}

    def _circumstances(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline,
            "unit": self.unit,
            "normalizer": self.normalizer,
            "utterances": self.utterances,
            "with_reference": self.with_reference,
            "resampled": {"unit": self.resampled, "units": self.units},
        }

    @property
    def final(self) -> str:
        """Name of the last system that is no bound: where all the steps lead."""
        return [result.name for result in self.systems if result.name not in BOUNDS][-1]

    def _words(self) -> dict[str, Any]:
        fixed, broken = most_fixed(self.changes, WORDS_SHOWN), most_broken(self.changes, WORDS_SHOWN)
        return {
            "from": self.baseline,
            "to": self.final,
            "fixed": [asdict(change) for change in fixed],
            "broken": [asdict(change) for change in broken],
        }


def compare(
    references: Sequence[str | None],
    systems: Mapping[str, Sequence[str]],
    *,
    baseline: str | None = None,
    recordings: Sequence[str | None] | None = None,
    unit: Unit = "word",
    resample: Resampled = "utterance",
    normalizer: str = "as-is",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Evaluate the texts that several systems chose for the same utterances.

    Args:
        references: what was said ``[utterances]``; None where it is not known, and then the utterance is left out.
        systems: chosen texts ``[utterances]`` by system, in the order of the table. ``first_pass`` must be there;
            ``oracle`` is a bound.
        baseline: the system the others are tested against; by default ``retuned``, or else ``first_pass``.
        recordings: recording of each utterance ``[utterances]``, for ``resample="recording"``.
        unit: what is counted.
        resample: draw utterances or whole recordings for the intervals.
        normalizer: name of the normaliser all texts go through before they are compared.
        resamples: sets drawn for the intervals.
        seed: of the draws.

    Raises:
        InputError: no utterance has a reference, the lengths differ, a system or a recording that is asked for is
            missing, a name is unknown, or the normaliser loses most of the references.
    """
    tally = Tally(tuple(systems), baseline=baseline, unit=unit, resample=resample, normalizer=normalizer)
    tally.add(references, systems, recordings)
    return comparison_of(tally, resamples=resamples, seed=seed)


def comparison_of(tally: Tally, *, resamples: int = RESAMPLES, seed: int = SEED) -> Comparison:
    """The comparison on all utterances of a tally.

    Args:
        tally: of at least one utterance with a reference.
        resamples: sets drawn for the intervals.
        seed: of the draws.

    Raises:
        InputError: no utterance has a reference, or the normaliser loses most of the references.
    """
    if not tally.with_reference:
        message = f"none of the {counted(tally.utterances, 'utterance')} has a reference, so errors cannot be counted"
        raise InputError(message)
    tally.lost.check("normalizer")
    draws = tally.errors_table.draw(resamples, seed)
    return Comparison(
        systems=tuple(_result(name, tally, draws) for name in tally.systems),
        baseline=tally.baseline,
        unit=tally.unit,
        resampled=tally.resample,
        normalizer=tally.normalizer,
        utterances=tally.utterances,
        with_reference=tally.with_reference,
        units=draws.units,
        changes=tuple(tally.words.changes()),
        normalized=tally.normalized(),
        lost=tally.lost.warning,
    )


def _result(name: str, tally: Tally, draws: Resamples) -> SystemResult:
    counts, tested = tally.errors(name), tally.tested
    place = tested.index(name) if name in tested else 0
    share = gap_closed(tally.errors(FIRST_PASS), counts, tally.errors(ORACLE)) if ORACLE in tally.systems else None
    compared = [tally.baseline, *([tested[place - 1]] if place else []), FIRST_PASS] if name in tested else []
    against = {other: _difference(other, name, tally, draws) for other in compared if other != name}
    return SystemResult(
        name=name,
        counts=counts,
        interval=draws.interval(tally.systems.index(name)),
        gap_closed=share,
        against_baseline=against.get(tally.baseline),
        against_above=against[tested[place - 1]] if place else None,
        against_first_pass=against.get(FIRST_PASS),
    )


def _difference(against: str, name: str, tally: Tally, draws: Resamples) -> Difference:
    rate = draws.difference(tally.systems.index(against), tally.systems.index(name))
    return Difference(against, rate, tally.matched_pairs(against, name))


def _system_json(result: SystemResult, unit: Unit) -> dict[str, Any]:
    counts, rate = result.counts, metric(unit).key
    record: dict[str, Any] = {
        rate: counts.rate,
        "interval": _interval_json(result.interval),
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        f"reference_{unit}s": counts.reference_length,
        "sentences": counts.sentences,
        "sentence_errors": counts.sentence_errors,
        "sentence_error_rate": counts.sentence_error_rate,
        "gap_closed": result.gap_closed,
    }
    differences = {
        "difference": result.against_baseline,
        "above": result.against_above,
        "from_first_pass": result.against_first_pass,
    }
    for key, difference in differences.items():
        if difference is not None:
            record[key] = _difference_json(difference, rate)
    return record


def _difference_json(difference: Difference, rate: str) -> dict[str, Any]:
    return {
        "against": difference.against,
        rate: difference.rate.value,
        "interval": _interval_json(difference.rate.interval),
        "improvement": difference.rate.improvement,
        "p_value": difference.test.p_value,
        "z": difference.test.z,
        "segments": difference.test.segments,
    }


def _interval_json(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
