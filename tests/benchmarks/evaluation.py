"""The bootstrap against the usual loop over resamples, in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from asr_lm.evaluation.bootstrap import Resamples
from asr_lm.evaluation.word_errors import Counts

UTTERANCES = 3_000
RESAMPLES = 2_000
RUNS = 5

Figure = tuple[int | None, int]
"""The interval of one system (None, system), or the difference of two."""


def run() -> list[dict[str, object]]:
    """How many times faster one paired difference is drawn, and all intervals and differences of four systems."""
    return [_line(2, "NumPy, one resample after another", 1.0), _line(4, "the same loop for each figure", 3.0)]


def _line(number: int, against: str, limit: float) -> dict[str, object]:
    systems = _systems()[:number]
    figures: list[Figure] = (
        [(0, 1)] if number == 2 else [*((None, i) for i in range(number)), *((0, i) for i in range(1, number))]
    )
    ratios = [_seconds(_loops, systems, figures) / _seconds(_together, systems, figures) for _ in range(RUNS)]
    name = f"bootstrap, {number} systems, {len(figures)} figures, {UTTERANCES} utterances, {RESAMPLES} resamples"
    return {"name": name, "ratio": round(median(ratios), 2), "against": against, "limit": limit}


def _systems() -> list[Counts]:
    generator = np.random.default_rng(1)
    lengths = generator.integers(3, 40, UTTERANCES)
    errors = [generator.binomial(lengths, rate) for rate in (0.13, 0.12, 0.11, 0.09)]
    empty = np.zeros_like(lengths)
    return [np.column_stack([wrong, empty, empty, lengths]).astype(np.int32) for wrong in errors]


def _together(systems: list[Counts], figures: list[Figure]) -> None:
    resamples = Resamples.draw(systems, resamples=RESAMPLES)
    for first, second in figures:
        if first is None:
            resamples.interval(second)
        else:
            resamples.difference(first, second)


def _loops(systems: list[Counts], figures: list[Figure]) -> None:
    generator = np.random.default_rng(1)
    errors = [counts[:, :3].sum(axis=1) for counts in systems]
    lengths = systems[0][:, 3]
    for first, second in figures:
        wrong = errors[second] if first is None else errors[second] - errors[first]
        rates = []
        for _ in range(RESAMPLES):
            drawn = generator.integers(UTTERANCES, size=UTTERANCES)
            rates.append(100 * wrong[drawn].sum() / lengths[drawn].sum())
        np.percentile(rates, [2.5, 97.5])


def _seconds(work: Callable[[list[Counts], list[Figure]], None], systems: list[Counts], figures: list[Figure]) -> float:
    start = time.perf_counter()
    work(systems, figures)
    return time.perf_counter() - start
