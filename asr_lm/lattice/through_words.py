"""Where a lattice speaks a sequence of words, and the best path through it.

A sequence is spoken where its words stand on arcs that follow each other; arcs that say nothing may stand between them.
The best complete path through it is the best way to its first arc, the arcs, and the best way from its last one to the
end: the maxima from both sides are computed once and serve all sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.forward_backward import backward, best_arcs, forward
from asr_lm.lattice.lattice import Floats, Lattice
from asr_lm.lattice.nbest import LatticePath

Words = tuple[str, ...]


class _Step(NamedTuple):
    """An arc that says the words of a sequence from one place to another, or nothing where these are equal."""

    begin: int
    arc: int
    end: int


class _Stretch(NamedTuple):
    """Arcs that say the beginning of a sequence, and the best score of a path from the first node to their end."""

    score: float
    arcs: tuple[int, ...]


@dataclass(frozen=True)
class SpokenWords:
    """The words on the arcs of a lattice.

    Attributes:
        lattice: any lattice.
        said: words of every arc as they are compared, none of an arc that says nothing ``[arcs]``.
        beginning: arcs by their first word.
    """

    lattice: Lattice
    said: Sequence[Words]
    beginning: dict[str, list[int]]

    @classmethod
    def of(cls, lattice: Lattice, read: Callable[[str], str] = str) -> SpokenWords:
        """Look through a lattice; ``read`` gives a word as it is compared."""
        read_words = {
            word: tuple(map(read, lattice.symbols[word].split())) for word in np.unique(lattice.word).tolist()
        }
        said = [read_words[word] for word in lattice.word.tolist()]
        beginning: dict[str, list[int]] = {}
        for arc, words in enumerate(said):
            if words:
                beginning.setdefault(words[0], []).append(arc)
        return cls(lattice, said, beginning)

    def arcs(self, sequence: Words) -> NDArray[np.int64]:
        """The arcs with words on which a sequence is spoken, also where they have other neighbours on other paths."""
        ends, found = set[tuple[int, int]](), set[int]()
        for step in reversed(self.steps(sequence)):
            if step.end == len(sequence) or (step.end, int(self.lattice.target[step.arc])) in ends:
                ends.add((step.begin, int(self.lattice.source[step.arc])))
                if self.said[step.arc]:
                    found.add(step.arc)
        return np.array(sorted(found), dtype=np.int64)

    def steps(self, sequence: Words) -> list[_Step]:
        """What arcs may say of a sequence after its words before, by rising source; it need not be spoken whole."""
        found = [step for arc in self.beginning.get(sequence[0], ()) if (step := self._step(sequence, 0, arc))]
        waiting, seen = self._ends(found), set[tuple[int, int]]()
        while waiting:
            place, node = waiting.pop()
            if place < len(sequence) and (place, node) not in seen:
                seen.add((place, node))
                leaving = range(self.lattice.out_offsets[node], self.lattice.out_offsets[node + 1])
                steps = [step for arc in leaving if (step := self._step(sequence, place, arc))]
                found += steps
                waiting += self._ends(steps)
        return sorted(found, key=lambda step: step.arc)

    def _step(self, sequence: Words, place: int, arc: int) -> _Step | None:
        end = place + len(self.said[arc])
        return _Step(place, arc, end) if sequence[place:end] == self.said[arc] else None

    def _ends(self, steps: Sequence[_Step]) -> list[tuple[int, int]]:
        return [(step.end, int(self.lattice.target[step.arc])) for step in steps]


def best_paths_through(
    spoken: SpokenWords, weights: Floats, sequences: Iterable[Words]
) -> Iterator[tuple[Words, LatticePath]]:
    """The sequences that some path speaks, and the best complete path of each; none begins or ends within an arc.

    Args:
        spoken: the words of any lattice.
        weights: of its arcs ``[arcs]``; -inf forbids one.
        sequences: words as they are compared, at least one each.
    """
    if not spoken.beginning:
        return
    search = _Search(spoken, weights)
    for sequence in sequences:
        if (found := search.best(sequence)) is not None:
            yield sequence, found


class _Search:
    def __init__(self, spoken: SpokenWords, weights: Floats) -> None:
        self.spoken = spoken
        self.into, self.out, _ = best_arcs(spoken.lattice, weights)
        self.alpha = forward(spoken.lattice, weights, "tropical")
        self.beta = backward(spoken.lattice, weights, "tropical")
        self.weights = weights

    def best(self, sequence: Words) -> LatticePath | None:
        """The best path through a sequence, None where there is none; of equals that of the lowest arcs."""
        source, target = self.spoken.lattice.source, self.spoken.lattice.target
        reached: dict[tuple[int, int], _Stretch] = {}
        for step in self.spoken.steps(sequence):
            node, end = int(source[step.arc]), (step.end, int(target[step.arc]))
            before = reached.get((step.begin, node)) if step.begin else _Stretch(float(self.alpha[node]), ())
            score = -np.inf if before is None else before.score + float(self.weights[step.arc])
            if before is not None and score > (reached[end].score if end in reached else -np.inf):
                reached[end] = _Stretch(score, (*before.arcs, step.arc))
        ends = ((stretch, node) for (place, node), stretch in reached.items() if place == len(sequence))
        score, arcs = min(((-stretch.score - self.beta[node], stretch.arcs) for stretch, node in ends), default=(0, ()))
        return LatticePath(self._whole(arcs), -float(score)) if arcs and score < np.inf else None

    def _whole(self, stretch: Sequence[int]) -> NDArray[np.int64]:
        """The stretch with the best way to it and from it."""
        lattice = self.spoken.lattice
        before: list[int] = []
        while node := int(lattice.source[(before or stretch[:1])[-1]]):
            before.append(int(self.into[node]))
        after = [*stretch[-1:]]
        while (node := int(lattice.target[after[-1]])) < lattice.nodes - 1:
            after.append(int(self.out[node]))
        return np.array([*before[::-1], *stretch, *after[1:]], dtype=np.int64)
