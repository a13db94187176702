"""Writing HTK's standard lattice format; see :mod:`asr_lm.lattice.htk_slf`."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.lattice.htk_fields import quoted
from asr_lm.lattice.htk_slf import PENALTY, SCALE_FIELDS, SCORE_FIELDS
from asr_lm.lattice.lattice import Lattice


def slf_lines(lattice: Lattice) -> Iterator[str]:
    """A lattice as lines, its words on the links; scores that have no field here are refused.

    Raises:
        InputError: a score that the format does not know.
    """
    keys = {name: key for key, name in SCORE_FIELDS.items()}
    names = [name for name in lattice.scores if name != PENALTY]
    if strange := [name for name in names if name not in keys]:
        raise InputError(f"the format has no place for a score {strange[0]!r}", utterance=lattice.id)
    yield "VERSION=1.0\n"
    yield f"UTTERANCE={quoted(lattice.id)}\n"
    yield f"base={math.e!r}\n"
    for key, name in SCALE_FIELDS.items():
        if name in lattice.scales:
            yield f"{key}={lattice.scales[name]!r}\n"
    if PENALTY in lattice.scores:
        yield f"wdpenalty={lattice.scales.get(PENALTY, 1.0)!r}\n"
    yield f"start=0 end={lattice.nodes - 1}\nN={lattice.nodes} L={len(lattice)}\n"
    times = node_times(lattice)
    for node, time in enumerate(times.tolist()):
        yield f"I={node}\n" if math.isnan(time) else f"I={node} t={time!r}\n"
    columns = [(keys[name], lattice.scores[name].tolist()) for name in names]
    words = [quoted(text) if text else "!NULL" for text in lattice.symbols]
    rows = zip(lattice.source.tolist(), lattice.target.tolist(), lattice.word.tolist(), strict=True)
    for number, (source, target, word) in enumerate(rows):
        scores = "".join(f" {key}={values[number]!r}" for key, values in columns)
        yield f"J={number} S={source} E={target} W={words[word]}{scores}\n"


def node_times(lattice: Lattice) -> NDArray[np.float64]:
    """Seconds of every node: the latest end of an arc that leads there, else the earliest beginning of one that leaves.

    Returns:
        ``[nodes]``; NaN where no arc tells.
    """
    ends, begins = np.full(lattice.nodes, -np.inf), np.full(lattice.nodes, np.inf)
    np.fmax.at(ends, lattice.target, lattice.end)
    np.fmin.at(begins, lattice.source, lattice.begin)
    times = np.where(np.isfinite(ends), ends, begins)
    return np.where(np.isfinite(times), times, np.nan)
