"""Tuning of four weights on 1,300 lists of 100 hypotheses: one line search against a loop over lists, and the whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import numpy as np

from asr_lm.rescoring.features.table import Column, FeatureTable
from asr_lm.rescoring.tuning.envelope import ErrorCurve, error_curve
from asr_lm.rescoring.tuning.objective import Objective
from asr_lm.rescoring.tuning.tune import tune_weights

UTTERANCES = 1_300
HYPOTHESES = 100
RUNS = 5
SECONDS_ALLOWED = 2.0

SIZE = f"4 features, {UTTERANCES:,} lists of {HYPOTHESES}"


def run() -> list[dict[str, object]]:
    """How many times faster an exact line search is than Och's list by list, and the tuning than is allowed."""
    table = _table()
    seconds = median(_seconds(lambda: tune_weights(table)) for _ in range(RUNS))
    return [
        _line_search(Objective.of(table, table.names)),
        {
            "name": f"whole tuning, {SIZE}",
            "ratio": round(SECONDS_ALLOWED / seconds, 2),
            "against": f"the {SECONDS_ALLOWED:g} seconds allowed",
            "limit": 1.0,
            "notes": f"({seconds:.2f} s)",
        },
    ]


def _line_search(objective: Objective) -> dict[str, object]:
    generator = np.random.default_rng(1)
    ratios = [_ratio(objective, generator.standard_normal(4)) for _ in range(RUNS)]
    name = f"exact line search, {SIZE}"
    return {"name": name, "ratio": round(median(ratios), 2), "against": "Och's search, list by list", "limit": 8.0}


def _ratio(objective: Objective, direction: np.ndarray) -> float:
    a, b = objective.values @ np.ones(4), objective.values @ direction
    curves: list[ErrorCurve] = []
    together = _seconds(lambda: curves.append(error_curve(objective.lists, a, b, objective.errors)))
    looped = _seconds(lambda: curves.append(_list_by_list(objective, a, b)))
    np.testing.assert_allclose(curves[0].steps, curves[1].steps, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(curves[0].errors, curves[1].errors)
    return looped / together


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _list_by_list(objective: Objective, a: np.ndarray, b: np.ndarray) -> ErrorCurve:
    """The usual way: sort the lines of a list by slope, keep the upper hull on a stack (Macherey et al., figure 2)."""
    found: list[tuple[float, float]] = []
    start_errors = 0.0
    values, slopes, errors = a.tolist(), b.tolist(), objective.errors.tolist()
    for start, end in pairwise(objective.lists.offsets.tolist()):
        hull: list[int] = []
        steps: list[float] = []
        for row in sorted(range(start, end), key=lambda row: (slopes[row], values[row], -row)):
            if hull and slopes[hull[-1]] == slopes[row]:
                hull.pop()
                if steps:
                    steps.pop()
            step = -np.inf
            while hull:
                top = hull[-1]
                step = (values[top] - values[row]) / (slopes[row] - slopes[top])
                if not steps or step > steps[-1]:
                    break
                hull.pop()
                steps.pop()
            if hull:
                steps.append(step)
            hull.append(row)
        start_errors += errors[hull[0]]
        found += [(step, errors[new] - errors[old]) for step, (old, new) in zip(steps, pairwise(hull), strict=True)]
    found.sort()
    changes = np.array([change for _, change in found])
    return ErrorCurve(np.array([step for step, _ in found]), start_errors + np.concatenate([[0.0], np.cumsum(changes)]))


def _table() -> FeatureTable:
    """Lists whose scores say about as much of the errors as real ones do."""
    generator = np.random.default_rng(0)
    rows = UTTERANCES * HYPOTHESES
    errors = np.zeros((rows, 3), dtype=np.int32)
    errors[:, 0] = generator.poisson(3, rows)
    signal = errors[:, :1] * np.array([-1.0, -0.7, -1.0, 0.0])
    columns = (Column("acoustic", "first-pass"), Column("lm", "first-pass"), Column("m", "model"))
    return FeatureTable(
        tuple(map(str, range(UTTERANCES))),
        (None,) * UTTERANCES,
        np.arange(UTTERANCES + 1) * HYPOTHESES,
        (*columns, Column("words", "length")),
        np.asfortranarray(signal + 3 * generator.standard_normal((rows, 4))),
        errors,
        np.full(UTTERANCES, 15),
        ("",) * rows,
    )
