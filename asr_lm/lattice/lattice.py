"""The lattice: an acyclic graph whose paths are hypotheses.

A node is a point in time and, in lattices that were expanded, a history; an arc is a word (or nothing, epsilon) with
its scores. Every path from the first node to the last is a hypothesis, and the sum of its arcs' scores is its score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asr_lm.errors import InputError
from asr_lm.lattice.levels import Levels
from asr_lm.lattice.topology import acyclic_order, connected, merge_silent_cycles

EPSILON = 0
"""Word of an arc that says nothing."""

_SHAPE = ("out_offsets", "levels", "arriving", "leaving")
"""What is known of a lattice's arcs whatever they score."""

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]


@dataclass(frozen=True)
class Lattice:
    """A lattice with one first node, 0, and one last node, the highest; every arc leads to a higher node.

    Made by :meth:`from_arcs`, which checks all this; the constructor believes what it is told.

    Attributes:
        id: of the utterance.
        symbols: words by number; that of number 0 is epsilon, the empty text.
        source, target: nodes of every arc ``[arcs]``; ``source < target``; arcs are sorted by source.
        word: number of every arc's word ``[arcs]``.
        scores: natural-log scores of the arcs by name (``acoustic``, ``lm``, …), larger is better ``[arcs]``.
        begin, end: seconds from the beginning of the utterance ``[arcs]``; NaN where unknown.
        reference: what was said, where known.
        recording: of the utterance, where known.
        phrases: names and other words that are expected in it, where they are known.
        scales: factor of each score that the recogniser used, by name; a score without one counts as it is.
        trimmed: arcs that were left out because they lie on no path from the first node to a last one.
    """

    id: str
    symbols: tuple[str, ...]
    source: Integers
    target: Integers
    word: Integers
    scores: Mapping[str, Floats]
    begin: Floats
    end: Floats
    reference: str | None = None
    recording: str | None = None
    scales: Mapping[str, float] = field(default_factory=dict)
    phrases: tuple[str, ...] | None = None
    trimmed: int = field(default=0, compare=False)

    @classmethod
    def from_arcs(
        cls,
        id: str,
        symbols: Sequence[str],
        source: ArrayLike,
        target: ArrayLike,
        word: ArrayLike,
        scores: Mapping[str, ArrayLike],
        *,
        start: int = 0,
        final: Mapping[int, Mapping[str, float]],
        begin: ArrayLike | None = None,
        end: ArrayLike | None = None,
        reference: str | None = None,
        recording: str | None = None,
        scales: Mapping[str, float] | None = None,
        phrases: tuple[str, ...] | None = None,
    ) -> Lattice:
        """The lattice of arcs between nodes of any numbering.

        Arcs that score -inf for something are no paths. Nodes that no path from ``start`` to a final node passes are
        left out. Cycles of epsilon arcs that score nothing are one node. Final nodes are joined by epsilon arcs to a
        last node unless there is just one, without scores of its own, that no arc leaves.

        Args:
            id: of the utterance; errors name it.
            symbols: words by number, the first being epsilon.
            source, target, word: of every arc ``[arcs]``.
            scores: natural-log scores of the arcs by name ``[arcs]``.
            start: the first node.
            final: final nodes, and what ending there scores by name (a missing name is 0).
            begin, end: seconds ``[arcs]``, None where unknown.
            reference, recording, scales, phrases: see the class.

        Raises:
            InputError: a word without a symbol, a node below 0, scores that are NaN or +inf, a cycle, no path.
        """
        arcs = _Arcs.checked(id, len(symbols), source, target, word, scores, begin, end)
        ends = _checked_ends(id, start, final, tuple(arcs.scores))
        arcs = arcs.chosen(np.all([np.isfinite(values) for values in arcs.scores.values()], axis=0)) if scores else arcs
        arcs, start, ends = _merged(id, arcs, start, ends)
        arcs, last = _joined(arcs, ends)
        kept = connected(arcs.source, arcs.target, start, last)
        trimmed = len(kept) - int(kept.sum())
        arcs = arcs.chosen(kept)
        if not len(arcs.source) and start != last:
            raise InputError("no path leads from the first node to a final one", utterance=id)
        lattice = _numbered(id, tuple(symbols), arcs, start, last)
        known = {"reference": reference, "recording": recording, "phrases": phrases}
        return replace(lattice, **known, scales=scales or {}, trimmed=trimmed)  # type: ignore[arg-type]

    def __len__(self) -> int:
        """Number of arcs."""
        return len(self.source)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.target.max(initial=0)) + 1

    @cached_property
    def out_offsets(self) -> NDArray[np.int64]:
        """The arcs that leave node ``n`` are ``out_offsets[n]:out_offsets[n + 1]``, ``[nodes + 1]``."""
        return np.searchsorted(self.source, np.arange(self.nodes + 1)).astype(np.int64)

    @cached_property
    def levels(self) -> NDArray[np.int32]:
        """Longest distance of every node from the first, in arcs ``[nodes]``; it rises with the number of the node."""
        return acyclic_order(self.source, self.target, self.nodes)

    @cached_property
    def arriving(self) -> Levels:
        """The arcs into the nodes of every level, from the first node on."""
        return Levels.arriving(self.target, self.levels)

    @cached_property
    def leaving(self) -> Levels:
        """The arcs out of the nodes of every level, levels counted from the last node back."""
        return Levels.arriving(self.source, self.levels.max(initial=0) - self.levels)

    def weights(self, scales: Mapping[str, float] | None = None) -> Floats:
        """Scores of the arcs added up ``[arcs]``.

        Args:
            scales: factor of each score by name; a score not named counts nothing. None takes the recogniser's.

        Raises:
            InputError: a scale for a score that the lattice lacks.
        """
        scales = {name: self.scales.get(name, 1.0) for name in self.scores} if scales is None else scales
        if missing := [name for name in scales if name not in self.scores]:
            known = ", ".join(map(repr, self.scores)) or "none"
            raise InputError(f"no score {missing[0]!r} in the lattice, which has {known}", utterance=self.id)
        total = np.zeros(len(self))
        for name, scale in scales.items():
            total += scale * self.scores[name]
        return total

    def with_scores(self, scores: Mapping[str, Floats]) -> Lattice:
        """The lattice with scores ``[arcs]`` added or replaced."""
        changed = replace(self, scores={**self.scores, **scores})
        changed.__dict__.update({name: self.__dict__[name] for name in _SHAPE if name in self.__dict__})
        return changed

    def without_scores(self, *names: str) -> Lattice:
        """The lattice without the named scores: for example without the old language model's."""
        return replace(self, scores={name: values for name, values in self.scores.items() if name not in names})

    def restricted(self, kept: NDArray[np.bool_]) -> Lattice:
        """The lattice of some arcs ``[arcs]``; those of them that no whole path passes go, too.

        Raises:
            InputError: no path is left.
        """
        return Lattice.from_arcs(
            self.id,
            self.symbols,
            self.source[kept],
            self.target[kept],
            self.word[kept],
            {name: values[kept] for name, values in self.scores.items()},
            final={self.nodes - 1: {}},
            begin=self.begin[kept],
            end=self.end[kept],
            reference=self.reference,
            recording=self.recording,
            scales=self.scales,
            phrases=self.phrases,
        )

    def text(self, arcs: ArrayLike) -> str:
        """The words of a path."""
        words = self.word[np.asarray(arcs, dtype=np.int64)]
        return " ".join(self.symbols[word] for word in words.tolist() if word != EPSILON)


@dataclass(frozen=True)
class _Arcs:
    """Arcs between nodes of any numbering."""

    source: Integers
    target: Integers
    word: Integers
    scores: dict[str, Floats]
    begin: Floats
    end: Floats

    @classmethod
    def checked(
        cls,
        id: str,
        symbols: int,
        source: ArrayLike,
        target: ArrayLike,
        word: ArrayLike,
        scores: Mapping[str, ArrayLike],
        begin: ArrayLike | None,
        end: ArrayLike | None,
    ) -> _Arcs:
        nodes: list[Integers] = [np.asarray(values, dtype=np.int64).reshape(-1) for values in (source, target)]
        words: Integers = np.asarray(word, dtype=np.int32).reshape(-1)
        values = {name: np.array(column, dtype=np.float64).reshape(-1) for name, column in scores.items()}
        unknown = np.full(len(words), np.nan)
        times: list[Floats] = [unknown if t is None else np.array(t, dtype=np.float64) for t in (begin, end)]
        lengths = [len(column) for column in (*nodes, *times)] + [len(column) for column in values.values()]
        if set(lengths) != {len(words)}:
            raise ValueError(f"{len(words)} arcs and columns of {sorted(set(lengths))} values")
        if any((column < 0).any() for column in nodes):
            raise InputError("a node below 0", utterance=id)
        if len(words) and not (words.min() >= 0 and words.max() < symbols):
            strange = words[(words < 0) | (words >= symbols)][0]
            raise InputError(f"word {strange} is not among the {symbols} symbols", utterance=id)
        for name, column in values.items():
            bad = np.flatnonzero(np.isnan(column) | (column == np.inf))
            if len(bad):
                raise InputError(f"arc {bad[0]} has {column[bad[0]]}, a number was expected", utterance=id, field=name)
        return cls(nodes[0], nodes[1], words, values, times[0], times[1])

    def chosen(self, which: NDArray[np.bool_] | Integers) -> _Arcs:
        return _Arcs(
            self.source[which],
            self.target[which],
            self.word[which],
            {name: values[which] for name, values in self.scores.items()},
            self.begin[which],
            self.end[which],
        )

    def renumbered(self, number: Integers) -> _Arcs:
        return replace(self, source=number[self.source], target=number[self.target])

    def and_also(self, source: Sequence[int], target: Sequence[int], scores: Mapping[str, Sequence[float]]) -> _Arcs:
        """With epsilon arcs added, which take no time."""
        unknown = np.full(len(source), np.nan)
        return _Arcs(
            np.concatenate([self.source, np.asarray(source, dtype=np.int64)]),
            np.concatenate([self.target, np.asarray(target, dtype=np.int64)]),
            np.concatenate([self.word, np.full(len(source), EPSILON, dtype=np.int32)]),
            {name: np.concatenate([values, scores[name]]) for name, values in self.scores.items()},
            np.concatenate([self.begin, unknown]),
            np.concatenate([self.end, unknown]),
        )


_Ends = dict[int, dict[str, float]]


def _checked_ends(id: str, start: int, final: Mapping[int, Mapping[str, float]], names: tuple[str, ...]) -> _Ends:
    if start < 0 or any(node < 0 for node in final):
        raise InputError("a node below 0", utterance=id)
    ends = {}
    for node, given in final.items():
        if strange := [name for name in given if name not in names]:
            raise InputError(f"ending scores {strange[0]!r}, the arcs do not", utterance=id)
        scores = {name: float(given.get(name, 0.0)) for name in names}
        if bad := [name for name, value in scores.items() if np.isnan(value) or value == np.inf]:
            raise InputError(f"final node {node} has {scores[bad[0]]}, a number was expected", utterance=id)
        if all(np.isfinite(value) for value in scores.values()):
            ends[node] = scores
    if not ends:
        raise InputError("no final node", utterance=id)
    return ends


def _merged(id: str, arcs: _Arcs, start: int, ends: _Ends) -> tuple[_Arcs, int, _Ends]:
    """Nodes numbered without gaps, so that a high number costs no memory; cycles of silent arcs become one node."""
    present = np.unique(np.concatenate([arcs.source, arcs.target, [start], list(ends)]))
    nodes = len(present)
    arcs = replace(arcs, source=np.searchsorted(present, arcs.source), target=np.searchsorted(present, arcs.target))
    start = int(np.searchsorted(present, start))
    ends = {int(np.searchsorted(present, node)): scores for node, scores in ends.items()}
    silent = arcs.word == EPSILON
    for values in arcs.scores.values():
        silent &= values == 0
    try:
        number = merge_silent_cycles(arcs.source, arcs.target, silent, nodes)
    except ValueError as error:
        first, second = (int(present[node]) for node in error.args)
        raise InputError(f"a cycle passes nodes {first} and {second}; a lattice has none", utterance=id) from None
    arcs = arcs.renumbered(number)
    arcs = arcs.chosen(arcs.source != arcs.target)
    merged: _Ends = {}
    for node, scores in ends.items():
        same = int(number[node])
        if same in merged and merged[same] != scores:
            raise InputError("a cycle joins final nodes of different scores", utterance=id)
        merged[same] = scores
    return arcs, int(number[start]), merged


def _joined(arcs: _Arcs, ends: _Ends) -> tuple[_Arcs, int]:
    """The arcs with one last node."""
    nodes = list(ends)
    if len(nodes) == 1 and not any(ends[nodes[0]].values()) and not (arcs.source == nodes[0]).any():
        return arcs, nodes[0]
    last = int(max(arcs.source.max(initial=0), arcs.target.max(initial=0), *nodes)) + 1
    scores = {name: [ends[node][name] for node in nodes] for name in arcs.scores}
    return arcs.and_also(nodes, [last] * len(nodes), scores), last


def _numbered(id: str, symbols: tuple[str, ...], arcs: _Arcs, start: int, last: int) -> Lattice:
    """With nodes numbered along the paths."""
    present = np.unique(np.concatenate([arcs.source, arcs.target, [start, last]]))
    level = acyclic_order(np.searchsorted(present, arcs.source), np.searchsorted(present, arcs.target), len(present))
    number = np.full(int(present[-1]) + 1, -1, dtype=np.int32)
    number[present[np.argsort(level, kind="stable")]] = np.arange(len(present))
    arcs = arcs.renumbered(number)
    arcs = arcs.chosen(np.lexsort((arcs.word, arcs.target, arcs.source)))
    return Lattice(id, symbols, arcs.source, arcs.target, arcs.word, arcs.scores, arcs.begin, arcs.end)
