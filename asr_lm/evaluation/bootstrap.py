"""Bootstrap confidence intervals of error rates and of their differences.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004. Utterances
(or whole recordings, whose utterances err together) are drawn with replacement; the error rates of the drawn sets vary
as much as that of the measured one is uncertain. All systems are judged on the same draws, so that what an utterance
does to both cancels in their difference (section 4 there).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import Counts

RESAMPLES = 10_000
SEED = 2004
CONFIDENCE = 0.95

MOST_ROWS = 100_000
"""Units that are drawn one by one; of more, equal ones are drawn together."""

# Cells of one block of weights; small enough for the processor's cache.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Interval:
    """Percentile interval, in the unit of what was resampled (percent, or percentage points)."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Error rate of a second system less that of a first one; negative where the second is better.

    Attributes:
        value: measured difference in percentage points; None without reference words.
        interval: its 95 % interval; None where there is too little to resample.
        improvement: share of the resamples where the second system has fewer errors (Bisani and Ney's probability of
            improvement); a resample with as many errors of both does not count. None where the interval is.
    """

    value: float | None
    interval: Interval | None
    improvement: float | None


@dataclass(frozen=True)
class Resamples:
    """Error rates of several systems on sets of utterances drawn with replacement.

    Attributes:
        rates: ``[resamples, systems]`` in percent; resamples without a reference word are left out.
        measured: ``[systems]``, the rates on the utterances as they are; NaN without reference words.
        units: utterances or recordings that were drawn from.
    """

    rates: NDArray[np.float64]
    measured: NDArray[np.float64]
    units: int

    @classmethod
    def draw(
        cls,
        systems: Sequence[Counts],
        recordings: Sequence[Hashable] | None = None,
        resamples: int = RESAMPLES,
        seed: int = SEED,
    ) -> Resamples:
        """Resample the utterances, or the recordings where they are given.

        Args:
            systems: counts of each system on the same utterances, each ``[utterances, 4]``.
            recordings: recording of each utterance ``[utterances]``; the utterances of one are drawn together.
            resamples: how many sets are drawn, each as large as the original.
            seed: of the random generator; equal seeds give equal intervals.

        Raises:
            InputError: the systems were not counted on the same references, or a recording is missing.
        """
        units = ErrorTable(recordings is not None)
        units.add(systems, recordings)
        return units.draw(resamples, seed)

    @property
    def enough(self) -> bool:
        """Whether there is a variance to see: one unit drawn again and again has none."""
        return self.units > 1 and len(self.rates) > 0

    def interval(self, system: int, confidence: float = CONFIDENCE) -> Interval | None:
        """Interval of the error rate of a system, in percent; None unless two or more units were there to draw."""
        return _percentiles(self.rates[:, system], confidence) if self.enough else None

    def difference(self, first: int, second: int, confidence: float = CONFIDENCE) -> PairedDifference:
        """How the ``second`` system differs from the ``first`` one."""
        measured = float(self.measured[second] - self.measured[first])
        value = None if np.isnan(measured) else measured
        if not self.enough:
            return PairedDifference(value, None, None)
        differences = self.rates[:, second] - self.rates[:, first]
        return PairedDifference(value, _percentiles(differences, confidence), float(np.mean(differences < 0)))


class ErrorTable:
    """Errors of several systems and reference lengths, a row a unit that is drawn: all that resampling needs of a list.

    Rows come part by part. Up to :data:`MOST_ROWS` they are kept as they are. Of more, equal ones are kept once with
    their number, so that the memory does not grow with the list; how often each row is drawn is multinomial either way.

    Args:
        by_recording: recordings are drawn, not utterances.
    """

    def __init__(self, by_recording: bool = False) -> None:
        self._rows: list[NDArray[np.int64]] = []
        self._new = 0
        self._grouped: Grouped | None = None
        self._recordings: dict[Hashable, int] | None = {} if by_recording else None
        self._sums = np.zeros((0, 0), dtype=np.int64)

    def add(self, systems: Sequence[Counts], recordings: Sequence[Hashable] | None = None) -> None:
        """More utterances.

        Args:
            systems: counts of each system on the same utterances, each ``[utterances, 4]``.
            recordings: recording of each utterance ``[utterances]``, where recordings are drawn.

        Raises:
            InputError: the systems were not counted on the same references, or a recording is missing.
        """
        rows = _errors_and_lengths(systems)
        if self._recordings is not None:
            self._add_to_recordings(self._recordings, rows, recordings or ())
            return
        self._add_rows(rows)

    def merge(self, other: ErrorTable) -> None:
        """The rows of another table of the same systems, as those that follow."""
        if self._recordings is not None:
            known = list(other._recordings or ())
            self._add_to_recordings(self._recordings, other._sums[: len(known)], known)
            return
        grouped = [] if other._grouped is None else [np.repeat(*other._grouped, axis=0)]
        for rows in [*grouped, *other._rows]:
            self._add_rows(rows)

    def _add_rows(self, rows: NDArray[np.int64]) -> None:
        self._rows.append(rows)
        self._new += len(rows)
        if self._new > MOST_ROWS:
            self._grouped, self._rows, self._new = self._all_grouped(), [], 0

    def _add_to_recordings(
        self, known: dict[Hashable, int], rows: NDArray[np.int64], recordings: Sequence[Hashable]
    ) -> None:
        if len(recordings) != len(rows) or None in recordings:
            raise InputError("resampling by recording needs the recording of every utterance")
        places = [known.setdefault(recording, len(known)) for recording in recordings]
        if len(known) > len(self._sums):
            grown = np.zeros((max(len(known), 2 * len(self._sums)), rows.shape[1]), dtype=np.int64)
            grown[: len(self._sums)] = self._sums if len(self._sums) else 0
            self._sums = grown
        np.add.at(self._sums, places, rows)

    def _all_grouped(self) -> Grouped:
        rows, numbers = [*self._rows], [np.ones(self._new, dtype=np.int64)]
        if self._grouped is not None:
            rows, numbers = [self._grouped[0], *rows], [self._grouped[1], *numbers]
        distinct, place = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
        return distinct, np.bincount(place.ravel(), np.concatenate(numbers)).astype(np.int64)

    def draw(self, resamples: int = RESAMPLES, seed: int = SEED) -> Resamples:
        """Error rates on ``resamples`` draws of as many units as there are; equal seeds give equal rates."""
        if self._grouped is not None:
            rows, numbers = self._all_grouped()
            sums, units = _draw_grouped_sums(rows.astype(np.float64), numbers, resamples, seed), int(numbers.sum())
            total = numbers @ rows
        else:
            rows = self._sums[: len(self._recordings)] if self._recordings is not None else np.concatenate(self._rows)
            sums, units = _draw_sums(rows.astype(np.float64), resamples, seed), len(rows)
            total = rows.sum(axis=0)
        return Resamples(_rates(sums[sums[:, -1] > 0]), _rates(total[None].astype(np.float64))[0], units)


Grouped = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Distinct rows ``[rows, columns]``, and how many units have each ``[rows]``."""


def _errors_and_lengths(systems: Sequence[Counts]) -> NDArray[np.int64]:
    """``[utterances, systems + 1]``: errors of each system, then the reference length."""
    lengths = systems[0][:, 3]
    if any(len(counts) != len(lengths) or (counts[:, 3] != lengths).any() for counts in systems):
        raise InputError("the systems were counted on different references, expected the same utterances for all")
    return np.column_stack([*(counts[:, :3].sum(axis=1) for counts in systems), lengths]).astype(np.int64)


def _draw_grouped_sums(
    rows: NDArray[np.float64], numbers: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """As :func:`_draw_sums`, of distinct rows that stand for so many units each."""
    units = int(numbers.sum())
    generator = np.random.default_rng(seed)
    sums = np.zeros((resamples, rows.shape[1]))
    at_once = max(1, _BLOCK // len(rows))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        sums[start : start + size] = generator.multinomial(units, numbers / units, size=size) @ rows
    return sums


def _draw_sums(table: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Column sums of ``resamples`` draws of as many rows as the table has, ``[resamples, columns]``.

    How often each row was drawn is a multinomial weight, so a block of draws is one matrix product. The sums are
    whole numbers and therefore exact.
    """
    units = len(table)
    sums = np.zeros((resamples, table.shape[1]))
    if not units:
        return sums
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // units)
    shift = (np.arange(rows) * units)[:, None]
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(units, size=(size, units), dtype=np.uint32) + shift[:size]
        weights = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)
        sums[start : start + size] = weights.astype(np.float64) @ table
    return sums


def _rates(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = 100.0 * sums[:, :-1] / sums[:, -1:]
    rates[~np.isfinite(rates)] = np.nan
    return rates


def _percentiles(values: NDArray[np.float64], confidence: float) -> Interval:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail]).tolist()
    return Interval(low, high)
