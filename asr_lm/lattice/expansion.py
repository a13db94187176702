"""Rescoring a lattice with a causal language model, best first.

An arc of a lattice has many histories, and a model with memory gives it another score after each, so the lattice is
expanded: its nodes are split by history. Without recombination that is the tree of all paths. Two histories that share
their last words may be taken for one (recombination), and what has no hope is left out (the beam): composed states are
expanded in the order of the best total they promise, which is the score of getting there and, from there on, the best
of the original lattice, where an older language model's score stands in for the new one's, as in Xu, Chen, Gao, Wang,
Li, Goel, Carmiel, Povey, Khudanpur: A pruned RNNLM lattice-rescoring algorithm for automatic speech recognition (ICASSP
2018). The model's states of a frontier are computed together, and those of several lattices: the frontier of one is a
handful of states, for which a network takes as long as for a hundred.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_lm.errors import InputError
from asr_lm.lattice.forward_backward import backward, best_path
from asr_lm.lattice.lattice import EPSILON, Floats, Lattice
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.lm.scoring.growing_tree import ROOT, GrowingTree
from asr_lm.text.normalizer import get_normalizer

COUNTS = ("words", "characters", "unknown", "phrases")
"""Scores that are no logarithms of probabilities; those of one model are called ``unknown:NAME``."""


@dataclass(frozen=True)
class ExpansionOptions:
    """What is searched.

    Attributes:
        history: words after which two histories are one; None tells all apart that the model tells apart.
        beam: how much less than the best path known a state may promise, in units of the score with the largest scale
            (so that it means the same however the scales are normalised); None leaves nothing out.
        most_states: composed states that are expanded at most, if a path is found by then.
        frontier: states expanded together.

    Raises:
        InputError: a number that is too small.
    """

    history: int | None = 3
    beam: float | None = 10.0
    most_states: int = 100_000
    frontier: int = 64

    def __post_init__(self) -> None:
        for name, least in (("history", 0), ("beam", 0), ("most_states", 1), ("frontier", 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"expected {least} or more, not {value}", field=name)


@dataclass(frozen=True)
class Expanded:
    """Lattices with a model's scores.

    Attributes:
        lattices: paths of the originals, each arc scored after its history; the new score has the model's name.
        states: composed states that were expanded.
        evaluations: distributions the model was asked for.
    """

    lattices: tuple[Lattice, ...]
    states: int
    evaluations: int


def expand_together(
    lattices: Sequence[Lattice],
    model: LanguageModel,
    name: str,
    scales: Mapping[str, float],
    search: ExpansionOptions | None = None,
    stand_in: str = "lm",
) -> Expanded:
    """Give every arc of several lattices the model's score after the words before it.

    They are expanded side by side: what they ask of the model at a time is one batch. The model's states of all of
    them are in memory until the last one is done.

    Args:
        lattices: any lattices.
        model: a causal one.
        name: of its score.
        scales: factor of each of the lattices' scores and of the new one: they decide which paths are followed.
        search: history, beam and bounds of the search.
        stand_in: score of the lattice that is most like the new one, whatever its own scale; it tells what to expect
            of words that the model has not read. A lattice may be without it.

    Raises:
        InputError: the model is not causal; a scale for a score that is not there.
    """
    tree = model.grow()
    search = search or ExpansionOptions()
    expansions = [_Expansion(lattice, model, tree, name, scales, search, stand_in) for lattice in lattices]
    done = _side_by_side([expansion.run() for expansion in expansions], tree)
    return Expanded(tuple(done), sum(expansion.expanded for expansion in expansions), tree.evaluations)


_Question = tuple[list[int], list[Tokens]]
"""Texts to be read after nodes of the tree; see :meth:`GrowingTree.extend`."""

_Answer = tuple[list[int], LogProbs]


def _side_by_side(expansions: Sequence[Generator[_Question, _Answer, Lattice]], tree: GrowingTree) -> list[Lattice]:
    """Run expansions that ask the tree, all that wait at a time."""
    questions = {number: next(expansion) for number, expansion in enumerate(expansions)}
    lattices: dict[int, Lattice] = {}
    while questions:
        asked = list(questions.items())
        nodes = [node for _, question in asked for node in question[0]]
        texts = [text for _, question in asked for text in question[1]]
        reached, log_probs = tree.extend(nodes, texts)
        begin = 0
        for number, question in asked:
            end = begin + len(question[0])
            try:
                questions[number] = expansions[number].send((reached[begin:end], log_probs[begin:end]))
            except StopIteration as finished:
                lattices[number] = finished.value
                del questions[number]
            begin = end
    return [lattices[number] for number in range(len(expansions))]


@dataclass
class _State:
    """A node of the lattice after one history.

    Attributes:
        node: of the lattice.
        prefix: of the growing tree.
        words: last words, as many as recombination looks at.
        score: of the best way there.
        is_expanded: whether its arcs were followed.
    """

    node: int
    prefix: int
    words: tuple[int, ...]
    score: float
    is_expanded: bool = False


@dataclass
class _Arcs:
    """Arcs between composed states."""

    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    arc: list[int] = field(default_factory=list)
    log_prob: list[float] = field(default_factory=list)


class _Expansion:
    """The expansion of one lattice, which asks for log-probabilities by yielding questions.

    Attributes:
        expanded: composed states whose arcs were followed.
    """

    def __init__(
        self,
        lattice: Lattice,
        model: LanguageModel,
        tree: GrowingTree,
        name: str,
        scales: Mapping[str, float],
        search: ExpansionOptions,
        stand_in: str,
    ) -> None:
        if name in lattice.scores:
            raise InputError(f"the lattice has a score {name!r} already", utterance=lattice.id)
        self.lattice, self.name, self.search = lattice, name, search
        self.scale = scales.get(name, 0.0)
        self.unit = max(abs(scale) for score, scale in scales.items() if score.partition(":")[0] not in COUNTS)
        self.old = lattice.weights({score: scale for score, scale in scales.items() if score != name})
        self.expected = self.old + self.scale * lattice.scores.get(stand_in, np.zeros(len(lattice)))
        self.tree = tree
        self.tokens = _tokens(lattice, model)
        self.eos = np.array([model.vocabulary.eos_id], dtype=np.int32)
        self.last = lattice.nodes - 1
        self.states: list[_State] = []
        self.index: dict[tuple[int, object], int] = {}
        self.arcs = _Arcs()
        self.followed: dict[tuple[int, int], int] = {}
        self.finals: dict[int, float] = {}
        self.waiting: list[tuple[float, int]] = []
        self.best = -np.inf
        self.ahead: Floats = np.zeros(0)
        self.expanded = 0

    def run(self) -> Generator[_Question, _Answer, Lattice]:
        self._state(0, ROOT, (), 0.0)
        yield from self._look_ahead()
        self._push(0)
        while frontier := self._next(self.search.most_states - self.expanded):
            yield from self._expand(frontier)
            self.expanded += len(frontier)
        return self._lattice()

    def _look_ahead(self) -> Generator[_Question, _Answer, None]:
        """Follow the path expected to be best: a first total, and what a word costs more than was expected."""
        path = best_path(self.lattice, self.expected)
        at, words = 0, 0
        for arc in path.tolist():
            (at,) = yield from self._follow([(at, arc)])
            words += self.lattice.word[arc] != EPSILON
        yield from self._finish([at])
        change = (self.best - float(self.expected[path].sum())) / (words + 1)
        said = (self.lattice.word != EPSILON).astype(np.float64)
        self.ahead = backward(self.lattice, self.expected + change * said, "tropical") + change

    def _next(self, most: int) -> list[int]:
        """The most promising states."""
        frontier: list[int] = []
        while self.waiting and len(frontier) < min(self.search.frontier, max(most, 1)):
            promise, number = heapq.heappop(self.waiting)
            state = self.states[number]
            if state.is_expanded:
                continue
            if -promise < self._threshold() or (most <= 0 and self.finals):
                return frontier
            state.is_expanded = True
            frontier.append(number)
        return frontier

    def _threshold(self) -> float:
        return -np.inf if self.search.beam is None else self.best - self.search.beam * self.unit

    def _expand(self, frontier: list[int]) -> Generator[_Question, _Answer, None]:
        """Follow the arcs of some states, or end there."""
        wanted: list[tuple[int, int]] = []
        offsets, threshold = self.lattice.out_offsets, self._threshold()
        reached: set[int] = set()
        for number in frontier:
            state = self.states[number]
            for arc in range(int(offsets[state.node]), int(offsets[state.node + 1])):
                if (number, arc) in self.followed:
                    reached.add(self.followed[number, arc])
                    continue
                # What the arc's own word costs is not known yet, so this promises too much rather than too little.
                promise = state.score + self.old[arc] + self.ahead[self.lattice.target[arc]]
                if self.scale < 0 or promise >= threshold:
                    wanted.append((number, arc))
        yield from self._finish([number for number in frontier if self.states[number].node == self.last])
        reached.update((yield from self._follow(wanted)))
        for number in sorted(reached):
            self._push(number)

    def _follow(self, wanted: list[tuple[int, int]]) -> Generator[_Question, _Answer, list[int]]:
        """Go along arcs from composed states; returns the states they lead to."""
        if not wanted:
            return []
        lattice = self.lattice
        prefixes = [self.states[number].prefix for number, _ in wanted]
        texts = [self.tokens[int(lattice.word[arc])] for _, arc in wanted]
        reached, log_probs = yield prefixes, texts
        targets = []
        for (number, arc), prefix, log_prob in zip(wanted, reached, log_probs.tolist(), strict=True):
            state, word = self.states[number], int(lattice.word[arc])
            words = state.words if word == EPSILON else (*state.words, word)
            score = state.score + float(self.old[arc]) + self.scale * log_prob
            target = self._state(int(lattice.target[arc]), prefix, words, score)
            self.followed[number, arc] = target
            self.arcs.source.append(number)
            self.arcs.target.append(target)
            self.arcs.arc.append(arc)
            self.arcs.log_prob.append(log_prob)
            targets.append(target)
        return targets

    def _state(self, node: int, prefix: int, words: tuple[int, ...], score: float) -> int:
        """The composed state of a node after a history, a new one where need be."""
        if self.search.history is not None:
            words = words[len(words) - self.search.history :] if len(words) > self.search.history else words
        key: object = words
        if self.search.history is None:
            words = ()
            key = prefix if self.tree.memory is None else self.tree.recent(prefix, self.tree.memory)
        number = self.index.setdefault((node, key), len(self.states))
        if number == len(self.states):
            self.states.append(_State(node, prefix, words, score))
        elif (state := self.states[number]).score < score:
            state.score = score
            if not state.is_expanded:
                state.prefix = prefix
        return number

    def _push(self, number: int) -> None:
        state = self.states[number]
        if not state.is_expanded:
            heapq.heappush(self.waiting, (-(state.score + float(self.ahead[state.node])), number))

    def _finish(self, numbers: list[int]) -> Generator[_Question, _Answer, None]:
        """End the sentence in states at the last node."""
        if not numbers:
            return
        _, values = yield [self.states[number].prefix for number in numbers], [self.eos] * len(numbers)
        for number, value in zip(numbers, values.tolist(), strict=True):
            self.finals[number] = value
            self.best = max(self.best, self.states[number].score + self.scale * value)

    def _lattice(self) -> Lattice:
        original, arcs = self.lattice, np.array(self.arcs.arc, dtype=np.int64)
        scores = {score: values[arcs] for score, values in original.scores.items()}
        return Lattice.from_arcs(
            original.id,
            original.symbols,
            self.arcs.source,
            self.arcs.target,
            original.word[arcs],
            {**scores, self.name: np.array(self.arcs.log_prob)},
            final={number: {self.name: value} for number, value in self.finals.items()},
            begin=original.begin[arcs],
            end=original.end[arcs],
            reference=original.reference,
            recording=original.recording,
            scales=original.scales,
            phrases=original.phrases,
        )


def _tokens(lattice: Lattice, model: LanguageModel) -> list[Tokens]:
    """Tokens of every word of the lattice, as the model writes them."""
    normalize: Callable[[str], str] = get_normalizer(model.normalizer)
    return model.vocabulary.encode_batch([normalize(text) for text in lattice.symbols])
