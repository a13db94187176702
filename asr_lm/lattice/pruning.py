"""Smaller lattices: what is too unlikely goes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.lattice.forward_backward import arc_log_posteriors, best_arcs, best_path, through_arcs
from asr_lm.lattice.lattice import Floats, Lattice

_ROUNDING = 1e-9


def prune_by_beam(lattice: Lattice, weights: Floats, beam: float) -> Lattice:
    """The lattice of the arcs whose best path scores at most ``beam`` less than the best of all (natural log).

    Args:
        lattice: any lattice.
        weights: of its arcs ``[arcs]``.
        beam: 0 keeps the best paths alone.

    Raises:
        InputError: a beam below 0.
    """
    if not beam >= 0:
        raise InputError(f"expected a beam of 0 or more, not {beam}", field="beam")
    if not len(lattice):
        return lattice
    through = through_arcs(lattice, weights)
    kept = through >= through.max() - beam - _ROUNDING
    kept[best_path(lattice, weights)] = True
    return lattice.restricted(kept)


def prune_by_posterior(lattice: Lattice, weights: Floats, least: float) -> Lattice:
    """The lattice of the arcs that have at least a share ``least`` of the probability.

    A likely arc may have none but unlikely ones before or behind it; it keeps its best path then. The best path of
    all is always kept.

    Args:
        lattice: any lattice.
        weights: of its arcs ``[arcs]``.
        least: posterior probability, from 0 to 1.

    Raises:
        InputError: ``least`` is not from 0 to 1.
    """
    if not 0 <= least <= 1:
        raise InputError(f"expected a probability from 0 to 1, not {least}", field="posterior")
    if not len(lattice):
        return lattice
    kept = np.exp(arc_log_posteriors(lattice, weights)) >= least - _ROUNDING
    kept[best_path(lattice, weights)] = True
    return lattice.restricted(_with_best_paths(lattice, weights, kept))


def _with_best_paths(lattice: Lattice, weights: Floats, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Kept arcs, and for each of them those of a best path through it."""
    into, out, _ = best_arcs(lattice, weights)
    kept = kept.copy()
    for node in range(lattice.nodes - 1, 0, -1):
        leaving = slice(lattice.out_offsets[node], lattice.out_offsets[node + 1])
        if kept[leaving].any():
            kept[into[node]] = True
    entered = np.zeros(lattice.nodes, dtype=bool)
    entered[0] = True
    for node in range(lattice.nodes - 1):
        if entered[node]:
            kept[out[node]] = True
        leaving = slice(lattice.out_offsets[node], lattice.out_offsets[node + 1])
        entered[lattice.target[leaving][kept[leaving]]] = True
    return kept
