"""Chains of states of several texts as one tree: what texts begin with in common is computed once.

The sums are of probabilities, scaled in every frame so that the likeliest state has 1, and states below
:data:`_LEAST` of that are given up. What this can lose is bounded: a text that is not far more probable than the bound
is computed again in logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST = 1e-280
_SURE = 600.0
"""Nats below the most probable state ever reached up to which a sum is exact: what is given up weighs less than
exp(-644) a state and frame, some exp(-20) of such a text."""

_NEVER, _START = 0, 1


class StateChain(Protocol):
    """The states of a text: their labels, and which last a single frame."""

    @property
    def labels(self) -> list[int]: ...

    @property
    def single(self) -> list[int]: ...


@dataclass(frozen=True, eq=False)
class ChainTree:
    """States of several texts; state 0 is never reached, state 1 stands before the first frame.

    Attributes:
        labels: column of each state's probability ``[states]``.
        before: the state that it may follow ``[states]``.
        skipping: the state that it may follow over the one between; 0 where there is none ``[states]``.
        stay: 1 where it may last several frames, else 0 ``[states]``.
        ends: the states in which each text may end ``[texts]``.
    """

    labels: NDArray[np.int64]
    before: NDArray[np.int64]
    skipping: NDArray[np.int64]
    stay: Floats
    ends: list[list[int]]

    @classmethod
    def of(cls, chains: Iterable[StateChain], silent: Sequence[int]) -> ChainTree:
        """The tree of some chains; ``silent`` labels cannot be reached over the state before."""
        known: dict[tuple[int, int, bool], int] = {}
        labels, before, skipping, stay = [0, 0], [_NEVER, _NEVER], [_NEVER, _NEVER], [0.0, 0.0]
        ends = []
        for chain in chains:
            path, single = [_NEVER, _START], set(chain.single)
            for place, label in enumerate(chain.labels):
                key = path[-1], label, place in single
                if key not in known:
                    known[key] = len(labels)
                    repeats = place > 1 and chain.labels[place - 2] == label
                    skipping.append(_NEVER if label in silent or repeats else path[-2])
                    labels.append(label)
                    before.append(path[-1])
                    stay.append(float(place not in single))
                path.append(known[key])
            ends.append(path[2:][-2:])
        return cls(np.array(labels), np.array(before), np.array(skipping), np.array(stay), ends)

    def log_probs(self, emissions: Floats) -> list[float]:
        """Natural-log probability of each text ``[texts]``.

        Args:
            emissions: log-probabilities ``[frames, labels]``.
        """
        found, sure = self._scaled(emissions)
        unsure = [number for number, value in enumerate(found) if value < sure]
        if unsure:
            exact = self._in_logarithms(emissions)
            for number in unsure:
                found[number] = _log_sum(exact[self.ends[number]])
        return found

    def _scaled(self, emissions: Floats) -> tuple[list[float], float]:
        """Log-probabilities, and what they have to be above to be exact."""
        best = emissions.max(axis=1, keepdims=True)
        state = np.zeros(len(self.labels))
        state[_START] = 1.0
        log_scale = highest = 0.0
        for frame in np.exp(emissions - best):
            state = (state * self.stay + state[self.before] + state[self.skipping]) * frame[self.labels]
            state[:2] = 0.0
            largest = float(state.max())
            if not largest:
                return [-math.inf] * len(self.ends), math.inf
            state /= largest
            state[state < _LEAST] = 0.0
            log_scale += math.log(largest)
            highest = max(highest, log_scale)
        base = float(best.sum())
        sums = [float(state[ends].sum()) for ends in self.ends]
        found = [math.log(value) + log_scale + base if value else -math.inf for value in sums]
        return found, highest - _SURE + base

    def _in_logarithms(self, emissions: Floats) -> Floats:
        """Log-probabilities of all states after the last frame."""
        with np.errstate(divide="ignore"):
            stay = np.log(self.stay)
        state = np.full(len(self.labels), -np.inf)
        state[_START] = 0.0
        for frame in emissions:
            ways = np.logaddexp(state + stay, state[self.before])
            state = np.logaddexp(ways, state[self.skipping]) + frame[self.labels]
            state[:2] = -np.inf
        return state


def _log_sum(values: Floats) -> float:
    return float(np.logaddexp.reduce(values))
