"""A few paths that pass every arc, for models that need whole sentences.

A model that sees both sides has no score for the beginning of a path. It scores a small set of paths instead: for every
arc the best path through it, which many arcs share. Each arc then gets what the model says of its word on that path.
What is exact: the score of a covering path all of whose arcs have it as their best. What is not: paths put together
from arcs of several covering paths, whose words the model would have seen among other words.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.lattice.forward_backward import best_arcs
from asr_lm.lattice.lattice import Floats, Lattice
from asr_lm.lm.protocol import Ranker, language_model
from asr_lm.lm.scoring.words import word_log_probs
from asr_lm.text.normalizer import get_normalizer


@dataclass(frozen=True)
class Covering:
    """Paths that pass every arc.

    Attributes:
        paths: arcs of each, best path first.
        chosen: for every arc the path it is scored on ``[arcs]``.
    """

    paths: tuple[NDArray[np.int64], ...]
    chosen: NDArray[np.int64]


def cover(lattice: Lattice, weights: Floats) -> Covering:
    """The best path of all, then through the best arc that is on none yet the best path, until every arc is on one.

    Args:
        lattice: any lattice.
        weights: of its arcs, finite ``[arcs]``.
    """
    into, out, through = best_arcs(lattice, weights)
    chosen = np.full(len(lattice), -1, dtype=np.int64)
    paths: list[NDArray[np.int64]] = []
    for arc in np.argsort(-through, kind="stable").tolist():
        if chosen[arc] < 0:
            path = _through(lattice, into, out, arc)
            chosen[path[chosen[path] < 0]] = len(paths)
            paths.append(path)
    return Covering(tuple(paths), chosen)


def _through(lattice: Lattice, into: NDArray[np.int64], out: NDArray[np.int64], arc: int) -> NDArray[np.int64]:
    """The best path through an arc."""
    path, node = [arc], int(lattice.source[arc])
    while node:
        path.append(int(into[node]))
        node = int(lattice.source[path[-1]])
    path.reverse()
    node = int(lattice.target[arc])
    while node != lattice.nodes - 1:
        path.append(int(out[node]))
        node = int(lattice.target[path[-1]])
    return np.array(path, dtype=np.int64)


def score_arcs(lattice: Lattice, model: Ranker, name: str, weights: Floats) -> Lattice:
    """The lattice with a score of every arc: what the model says of its word on the best path through it.

    What the model says of the end of the sentence goes to the arcs that lead to the last node.

    Args:
        lattice: any lattice.
        model: any model that scores sentences.
        name: of the score.
        weights: of the arcs, which decide what the best paths are ``[arcs]``.

    Raises:
        InputError: the model gives no probabilities.
    """
    model = language_model(model)
    covering = cover(lattice, weights)
    normalize = get_normalizer(model.normalizer)
    words = [[normalize(lattice.symbols[word]) for word in lattice.word[path].tolist()] for path in covering.paths]
    texts = [" ".join(filter(None, line)) for line in words]
    distinct = list(dict.fromkeys(texts))
    values = dict(zip(distinct, model.token_log_probs(model.vocabulary.encode_batch(distinct)), strict=True))
    scores = np.zeros(len(lattice))
    for number, (path, line, text) in enumerate(zip(covering.paths, words, texts, strict=True)):
        said = word_log_probs(model.vocabulary, text, values[text])
        on_path = _of_arcs(line, said)
        mine = covering.chosen[path] == number
        scores[path[mine]] = on_path[mine]
    return lattice.with_scores({name: scores})


def _of_arcs(line: list[str], said: Floats) -> Floats:
    """Log-probabilities of words, the end of the sentence last, handed to the arcs that say them ``[arcs]``."""
    counts = [len(word.split()) for word in line]
    edges = np.concatenate([[0], np.cumsum(counts)])
    on_path = np.array([said[begin:end].sum() for begin, end in itertools.pairwise(edges.tolist())])
    on_path[-1] += said[-1]
    return on_path
