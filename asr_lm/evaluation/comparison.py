"""Several systems on the same utterances: error rates, how sure they are, and what each step was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from asr_lm.errors import InputError
from asr_lm.evaluation.bootstrap import RESAMPLES, SEED, Interval, PairedDifference, Resamples
from asr_lm.evaluation.matched_pairs import ErrorPositions, MatchedPairs, compare_positions, error_positions
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.evaluation.normalized_rate import NormalizedRate, normalized_rate
from asr_lm.evaluation.oracle_gap import gap_closed
from asr_lm.evaluation.roles import BOUNDS, FIRST_PASS, ORACLE, RESCORED, RETUNED, ROLES
from asr_lm.evaluation.word_changes import WordChange, changes_at, most_broken, most_fixed
from asr_lm.evaluation.word_errors import Counts, ErrorCounts, Unit, check_pairs, count_errors
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import get_normalizer

Resampled = Literal["utterance", "recording"]

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
    baseline = baseline or (RETUNED if RETUNED in systems else FIRST_PASS)
    if recordings is not None and len(recordings) != len(references):
        raise InputError(f"{len(recordings)} recordings, expected one for each of {len(references)} utterances")
    known = _known_utterances(references, systems, baseline, unit)
    units = _drawn_units(recordings, known, resample)
    normalize, lost = get_normalizer(normalizer), LostLetters(normalizer)
    for index in known:
        lost.add(references[index] or "")
    lost.check("normalizer")
    said = [normalize(references[index] or "") for index in known]
    chosen = {name: [normalize(texts[index]) for index in known] for name, texts in systems.items()}
    measures = _Measures.take(said, chosen, units, unit, resamples, seed)
    tested = [name for name in systems if name not in BOUNDS]
    return Comparison(
        systems=tuple(_result(name, measures, tested, baseline) for name in systems),
        baseline=baseline,
        unit=unit,
        resampled=resample,
        normalizer=normalizer,
        utterances=len(references),
        with_reference=len(known),
        units=measures.draws.units,
        changes=tuple(changes_at(said, measures.positions[baseline], measures.positions[tested[-1]], unit)),
        normalized=normalized_rate(references, systems[FIRST_PASS], unit, normalizer),
        lost=lost.warning,
    )


@dataclass(frozen=True)
class _Measures:
    """Everything that is computed once for all systems."""

    counts: dict[str, Counts]
    positions: dict[str, list[ErrorPositions]]
    draws: Resamples

    @classmethod
    def take(
        cls,
        said: list[str],
        chosen: dict[str, list[str]],
        recordings: list[str] | None,
        unit: Unit,
        resamples: int,
        seed: int,
    ) -> _Measures:
        # Systems agree on most utterances, so all are given at once: equal pairs are aligned once.
        references = said * len(chosen)
        texts = [text for system in chosen.values() for text in system]
        counts = count_errors(references, texts, unit)
        positions = error_positions(references, texts, unit)
        parts = {name: slice(i * len(said), (i + 1) * len(said)) for i, name in enumerate(chosen)}
        rows = {name: counts[part] for name, part in parts.items()}
        draws = Resamples.draw(list(rows.values()), recordings, resamples, seed)
        return cls(rows, {name: positions[part] for name, part in parts.items()}, draws)

    def errors(self, name: str) -> ErrorCounts:
        return ErrorCounts.from_counts(self.counts[name])

    def interval(self, name: str) -> Interval | None:
        return self.draws.interval(list(self.counts).index(name))

    def difference(self, against: str, name: str) -> Difference:
        order = list(self.counts)
        rate = self.draws.difference(order.index(against), order.index(name))
        return Difference(against, rate, compare_positions(self.positions[against], self.positions[name]))


def _result(name: str, measures: _Measures, tested: list[str], baseline: str) -> SystemResult:
    counts = measures.errors(name)
    place = tested.index(name) if name in tested else 0
    share = None
    if ORACLE in measures.counts:
        share = gap_closed(measures.errors(FIRST_PASS), counts, measures.errors(ORACLE))
    return SystemResult(
        name=name,
        counts=counts,
        interval=measures.interval(name),
        gap_closed=share,
        against_baseline=measures.difference(baseline, name) if name in tested and name != baseline else None,
        against_above=measures.difference(tested[place - 1], name) if place else None,
        against_first_pass=measures.difference(FIRST_PASS, name) if name in tested and name != FIRST_PASS else None,
    )


def _known_utterances(
    references: Sequence[str | None], systems: Mapping[str, Sequence[str]], baseline: str, unit: Unit
) -> list[int]:
    for needed in (FIRST_PASS, baseline):
        if needed not in systems:
            raise InputError(f"no system {needed!r} to compare with; there are {', '.join(systems) or 'none'}")
    if baseline in BOUNDS:
        raise InputError(f"{baseline!r} is chosen with the reference and cannot be the baseline")
    for name, texts in systems.items():
        if len(texts) != len(references):
            raise InputError(f"system {name!r} has {len(texts)} texts, expected one for each of {len(references)}")
    check_pairs([], [], unit)
    known = [index for index, reference in enumerate(references) if reference is not None]
    if not known:
        raise InputError(f"none of the {len(references)} utterances has a reference, so errors cannot be counted")
    return known


def _drawn_units(recordings: Sequence[str | None] | None, known: list[int], resample: Resampled) -> list[str] | None:
    if resample not in get_args(Resampled):
        raise InputError(f"cannot resample by {resample!r}, expected one of {', '.join(get_args(Resampled))}")
    if resample == "utterance":
        return None
    units = [recordings[index] for index in known] if recordings else []
    named = [recording for recording in units if recording is not None]
    if len(named) != len(known):
        raise InputError(
            f"resampling by recording needs every recording; {len(known) - len(named)} of {len(known)} "
            "utterances with a reference have none"
        )
    return named


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
