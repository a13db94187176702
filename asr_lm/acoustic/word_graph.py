"""A word lattice from CTC emissions and the texts that a beam search found in them, without k2.

Every text is aligned to the frames; a word's share of its path begins where the last token of the word before it (the
first word end after that, where there is one) stops and stops with its own. Which tokens may come next depends on
nothing but that token: words of different texts join where their frames and last tokens agree (and, with a language
model, its states), and any path through the result is an alignment of its words. A path's ``acoustic`` score is
therefore that of one alignment: for a text that was given it is the best one's (Viterbi), for others at most that;
never the sum over alignments, which is the score in a list. ``lm`` is exact.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.acoustic.beam_search import Reading
from asr_lm.acoustic.ctc import Chain, best_alignments, chain, with_silence
from asr_lm.acoustic.first_pass import ACOUSTIC, LM
from asr_lm.acoustic.first_pass_lm import FirstPassLm
from asr_lm.acoustic.tokens import Tokens
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.symbols import Symbols

_Node = tuple[int, int, Hashable]
"""Frame, last token, state of the language model."""


@dataclass
class _Arcs:
    """Arcs by the nodes they join and their word; of equal ones the better stays."""

    symbols: Symbols = field(default_factory=Symbols)
    number: dict[_Node, int] = field(default_factory=dict)
    scores: dict[tuple[int, int, int], tuple[float, float]] = field(default_factory=dict)

    def node(self, node: _Node) -> int:
        return self.number.setdefault(node, len(self.number))

    def add(self, source: _Node, target: _Node, word: int, acoustic: float, lm: float) -> None:
        key = self.node(source), self.node(target), word
        self.scores[key] = max(self.scores.get(key, (-math.inf, -math.inf)), (acoustic, lm))


def word_graph(
    id: str,
    emissions: Tensor,
    texts: Iterable[Reading],
    tokens: Tokens,
    frame_seconds: float,
    *,
    ngram: FirstPassLm | None = None,
    lm_weight: float = 1.0,
) -> Lattice:
    """The lattice of texts.

    Args:
        id: of the utterance.
        emissions: log-probabilities ``[frames, tokens]``.
        texts: words with their spellings; at least one text, and each fits into the frames.
        tokens: of the recogniser.
        frame_seconds: seconds from one frame to the next.
        ngram: of words, None for a lattice without ``lm``.
        lm_weight: its weight, kept as the lattice's scale.
    """
    graph = _Arcs()
    start: _Node = (0, tokens.blank_number, None if ngram is None else ngram.first_state())
    graph.node(start)
    finals: dict[int, dict[str, float]] = {}
    for text in _aligned(list(texts), emissions, tokens):
        last, ending = _add_path(graph, start, text, ngram)
        finals[graph.node(last)] = {LM: ending} if ngram is not None else {}
    frames = {number: frame for (frame, _, _), number in graph.number.items()}
    keys = list(graph.scores)
    scores = {ACOUSTIC: [graph.scores[key][0] for key in keys]}
    if ngram is not None:
        scores[LM] = [graph.scores[key][1] for key in keys]
    return Lattice.from_arcs(
        id,
        graph.symbols.texts,
        [source for source, _, _ in keys],
        [target for _, target, _ in keys],
        [word for _, _, word in keys],
        scores,
        final=finals,
        begin=[frames[source] * frame_seconds for source, _, _ in keys],
        end=[frames[target] * frame_seconds for _, target, _ in keys],
        scales={LM: lm_weight} if ngram is not None else {},
    )


class _Aligned(NamedTuple):
    """A text with the states of its chain, frame by frame, and the sums of their scores before each frame."""

    words: Sequence[str]
    chain: Chain
    states: NDArray[np.int64]
    sums: NDArray[np.float64]


def _aligned(readings: Sequence[Reading], emissions: Tensor, tokens: Tokens) -> Iterator[_Aligned]:
    said = with_silence(emissions, tokens).numpy()
    alignments = best_alignments(emissions, [spelt for _, spelt in readings], tokens)
    for (words, spelt), states in zip(readings, alignments, strict=True):
        ordered = chain(spelt, tokens)
        scores = said[np.arange(len(said)), np.array(ordered.labels)[states]]
        yield _Aligned(words, ordered, states, np.append(0.0, np.cumsum(scores)))


def _add_path(graph: _Arcs, start: _Node, text: _Aligned, ngram: FirstPassLm | None) -> tuple[_Node, float]:
    """Add the alignment of a text; its last node, and the language model's score of the end."""
    words, states, alignment, sums = text
    node = start
    for number, (word, place) in enumerate(zip(words, states.words, strict=True), 1):
        is_last = number == len(words)
        # The silence after the last word belongs to it.
        end = len(alignment) if is_last else int(np.searchsorted(alignment, place.end, side="right"))
        state, lm = (None, 0.0) if ngram is None else ngram.next(node[2], word)
        target: _Node = (end, start[1] if is_last else states.labels[place.end], state)
        graph.add(node, target, graph.symbols.number(word), float(sums[end] - sums[node[0]]), lm)
        node = target
    if not words:
        silent: _Node = (len(alignment), start[1], start[2])
        graph.add(start, silent, 0, float(sums[-1]), 0.0)
        node = silent
    return node, 0.0 if ngram is None else ngram.end(node[2])
