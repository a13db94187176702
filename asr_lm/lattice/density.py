"""How large a lattice is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_lm.lattice.forward_backward import total
from asr_lm.lattice.lattice import EPSILON, Lattice


@dataclass(frozen=True)
class Density:
    """Size of a lattice, or of several together.

    Attributes:
        lattices, nodes, arcs: how many.
        words: arcs that say something.
        reference_words: words of the references; None where one is missing.
        seconds: length of the audio, as far as arcs tell; None where no arc has a time.
        log_paths: natural logarithm of the number of paths, summed over lattices.
    """

    lattices: int
    nodes: int
    arcs: int
    words: int
    reference_words: int | None
    seconds: float | None
    log_paths: float

    @classmethod
    def of(cls, lattice: Lattice) -> Density:
        """Of one lattice."""
        ends = lattice.end[~np.isnan(lattice.end)]
        return cls(
            lattices=1,
            nodes=lattice.nodes,
            arcs=len(lattice),
            words=int((lattice.word != EPSILON).sum()),
            reference_words=None if lattice.reference is None else len(lattice.reference.split()),
            seconds=float(ends.max()) if len(ends) else None,
            log_paths=total(lattice, np.zeros(len(lattice))),
        )

    def __add__(self, other: Density) -> Density:
        def known(a: float | None, b: float | None) -> float | None:
            return None if a is None or b is None else a + b

        words = known(self.reference_words, other.reference_words)
        return Density(
            self.lattices + other.lattices,
            self.nodes + other.nodes,
            self.arcs + other.arcs,
            self.words + other.words,
            None if words is None else int(words),
            known(self.seconds, other.seconds),
            self.log_paths + other.log_paths,
        )

    @property
    def arcs_per_second(self) -> float | None:
        """Word arcs a second of audio."""
        return self.words / self.seconds if self.seconds else None

    @property
    def arcs_per_reference_word(self) -> float | None:
        """Word arcs a spoken word."""
        return self.words / self.reference_words if self.reference_words else None
