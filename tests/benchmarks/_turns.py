"""Both sides of a comparison in turn, so that what else the machine does is shared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

ROUNDS = 5


def in_turn(
    sides: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of each side in each round, and what each gave in the first."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, Any] = {}
    for number in range(rounds):
        for name, work in sides.items():
            taken, found = timed(work)
            seconds[name].append(taken)
            if number == 0:
                results[name] = found
    return seconds, results


def ratio(seconds: Mapping[str, list[float]], ours: str, theirs: str) -> float:
    """How many times faster: the median of the rounds' ratios."""
    return statistics.median(slow / fast for slow, fast in zip(seconds[theirs], seconds[ours], strict=True))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it gave."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result
