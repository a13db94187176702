"""From lattices to the lists that a second pass chooses from.

A lattice is searched with the weights that will decide: each model scores its arcs (a causal one best first,
:mod:`asr_lm.lattice.expansion`; any other on a few paths that pass every arc, :mod:`asr_lm.lattice.arc_covering`), and
the best word sequences under all scores become a list, which is tuned, rescored and measured like any other. So the
list holds what the models like, not only what the recogniser liked.

Weights need lists and lists need weights: :class:`asr_lm.rescoring.list_sources.LatticeLists` tunes both in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lattice.arc_covering import score_arcs
from asr_lm.lattice.expansion import ExpansionOptions, expand_together
from asr_lm.lattice.lattice import EPSILON, Floats, Lattice
from asr_lm.lattice.nbest import LatticePath, nbest
from asr_lm.lm.protocol import CausalModel
from asr_lm.rescoring.features.table import CHARACTERS, PHRASES, UNKNOWN, WORDS
from asr_lm.rescoring.phrases.features import Phrases
from asr_lm.rescoring.phrases.lattice_paths import phrase_gains, phrase_paths
from asr_lm.rescoring.scoring.lengths import length_normalizer
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.text.normalizer import Normalizer, as_is, get_normalizer

LM = "lm"
"""The recogniser's own language model score in every format that has one."""

_TOGETHER = 20_000
"""Arcs of lattices that are searched side by side: enough for full batches, and a network's states fit in memory."""

_ROUNDING = 1e-6
"""Seconds that times may be off."""


@dataclass(frozen=True)
class Listing:
    """How lists are made.

    Attributes:
        count: hypotheses of a list, at most.
        search: how far causal models search.
        phrases: which are expected: they guide the search, and the best path through each joins the list.
    """

    count: int = 100
    search: ExpansionOptions = field(default_factory=ExpansionOptions)
    phrases: Phrases | None = None


@dataclass(frozen=True)
class SearchWork:
    """How much was computed to search lattices.

    Attributes:
        evaluations: distributions that causal models were asked for.
        states: states of lattice and model together that were expanded.
        hypotheses: hypotheses of the lists.
    """

    evaluations: int = 0
    states: int = 0
    hypotheses: int = 0

    def __add__(self, other: SearchWork) -> SearchWork:
        return SearchWork(
            self.evaluations + other.evaluations, self.states + other.states, self.hypotheses + other.hypotheses
        )


def first_list(lattice: Lattice, count: int, phrases: Phrases | None = None) -> Utterance:
    """What the recogniser likes best, by its own scales, and what it likes best of what holds a phrase."""
    return _best(lattice, lattice.weights(), count, tuple(lattice.scores), phrases)


@dataclass(frozen=True)
class Searched:
    """A lattice that models have searched.

    Attributes:
        lattice: with the scores of the models, and with words, characters and unknown words counted on its arcs.
        utterance: the best word sequences under the weights of all features, and the recogniser's own best.
        work: what it took; of lattices that are searched side by side the first one has all of it.
    """

    lattice: Lattice
    utterance: Utterance
    work: SearchWork


def search_lattices(
    lattices: Sequence[Lattice],
    models: Sequence[RescoringModel],
    values: Mapping[str, float],
    listing: Listing,
) -> Iterator[Searched]:
    """Lattices rescored, and the best word sequences of each, one after another.

    The hypotheses keep the recogniser's scores; those of the models are computed again with the list, exactly.

    Args:
        lattices: any lattices.
        models: those without a weight are left out.
        values: weights by name of the feature.
        listing: how lists are made.
    """
    for group in _groups(lattices):
        rescored, work = _rescored(with_gains(group, listing.phrases), models, values, listing.search)
        for lattice, scored in zip(group, rescored, strict=True):
            weights, names = weighed(scored, values), tuple(lattice.scores)
            guided = _best(scored, weights, listing.count, names, listing.phrases)
            utterance = merged(lattice, first_list(lattice, 1), guided)
            yield Searched(scored, utterance, work + SearchWork(hypotheses=len(guided.hypotheses)))
            work = SearchWork()


def _best(lattice: Lattice, weights: Floats, count: int, names: Sequence[str], phrases: Phrases | None) -> Utterance:
    """The best word sequences of a lattice, and the best path through each phrase.

    Args:
        lattice: any lattice.
        weights: of its arcs ``[arcs]``.
        count: word sequences, at most, besides those with phrases.
        names: of the scores that hypotheses have.
        phrases: which are expected.
    """
    utterance = _utterance(lattice, _hypotheses(lattice, nbest(lattice, weights, count), names))
    if phrases is None:
        return utterance
    known = {found.text for found in utterance.hypotheses}
    paths = phrase_paths(lattice, weights, phrases.of(utterance), known)
    return _utterance(lattice, (*utterance.hypotheses, *_hypotheses(lattice, paths, names)))


def weighed(lattice: Lattice, values: Mapping[str, float]) -> Floats:
    """Totals of the arcs of a rescored lattice under the weights of features by name ``[arcs]``."""
    return lattice.weights({name: values.get(name, 0.0) for name in lattice.scores})


def _groups(lattices: Sequence[Lattice]) -> Iterator[list[Lattice]]:
    """Lattices that are searched side by side; they have the same scores."""
    group: list[Lattice] = []
    for lattice in lattices:
        differs = group and list(group[0].scores) != list(lattice.scores)
        if differs or (group and sum(map(len, group)) + len(lattice) > _TOGETHER):
            yield group
            group = []
        group.append(lattice)
    if group:
        yield group


def _rescored(
    lattices: Sequence[Lattice],
    models: Sequence[RescoringModel],
    values: Mapping[str, float],
    search: ExpansionOptions,
) -> tuple[Sequence[Lattice], SearchWork]:
    """Lattices with the scores of models, one model after another, and what that took."""
    work = SearchWork()
    weighted = [model for model in models if values.get(model.name)]
    normalize = length_normalizer([model.model for model in models])
    lattices = [with_counts(lattice, weighted, normalize) for lattice in lattices]
    latest = LM
    for model in weighted:
        if isinstance(model.model, CausalModel):
            scales = {name: values.get(name, 0.0) for name in (*lattices[0].scores, model.name)}
            expanded = expand_together(lattices, model.model, model.name, scales, search, latest)
            work += SearchWork(expanded.evaluations, expanded.states)
            lattices = expanded.lattices
        else:
            lattices = [score_arcs(lattice, model.model, model.name, weighed(lattice, values)) for lattice in lattices]
        latest = model.name
    return lattices, work


def with_counts(lattice: Lattice, models: Sequence[RescoringModel] = (), normalize: Normalizer = as_is) -> Lattice:
    """The lattice with the number of words and characters of every arc as scores, and of words unknown to models.

    Words and characters are those of the texts after ``normalize``.
    """
    measured = [normalize(text).split() for text in lattice.symbols]
    counts = {
        WORDS: [float(len(words)) for words in measured],
        CHARACTERS: [float(sum(map(len, words))) for words in measured],
    }
    for model in models:
        vocabulary, normalize = model.model.vocabulary, get_normalizer(model.model.normalizer)
        if not vocabulary.is_open:
            counts[UNKNOWN + model.name] = [
                float(vocabulary.unknown_words(normalize(text))) for text in lattice.symbols
            ]
    return lattice.with_scores({name: np.array(column)[lattice.word] for name, column in counts.items()})


def with_gains(lattices: Sequence[Lattice], phrases: Phrases | None) -> Sequence[Lattice]:
    """The lattices with what arcs gain by phrases as a score, if one of them holds any."""
    if phrases is None:
        return lattices
    gains = [phrase_gains(lattice, phrases.of(_utterance(lattice, ()))) for lattice in lattices]
    if not any(gained.any() for gained in gains):
        return lattices
    return [lattice.with_scores({PHRASES: gained}) for lattice, gained in zip(lattices, gains, strict=True)]


def _utterance(lattice: Lattice, hypotheses: tuple[Hypothesis, ...]) -> Utterance:
    """A list of a lattice's utterance."""
    return Utterance(lattice.id, hypotheses, lattice.reference, lattice.recording, phrases=lattice.phrases)


def _hypotheses(lattice: Lattice, paths: Sequence[LatticePath], names: Sequence[str]) -> tuple[Hypothesis, ...]:
    return tuple(_hypothesis(lattice, path, names) for path in paths)


def _hypothesis(lattice: Lattice, path: LatticePath, names: Sequence[str]) -> Hypothesis:
    scores = {name: float(lattice.scores[name][path.arcs].sum()) for name in names}
    said = path.arcs[lattice.word[path.arcs] != EPSILON]
    return Hypothesis(lattice.text(path.arcs), scores, times=_times(lattice.begin[said], lattice.end[said]))


def _times(begin: Floats, end: Floats) -> tuple[tuple[float, float], ...] | None:
    """When words were said; None unless every one has a time, and none ends before it begins."""
    if not (np.all(begin >= 0) and np.all(end >= begin - _ROUNDING)):
        return None
    # Sums of frames differ in their last digits by the path that was summed along.
    return tuple(zip(begin.tolist(), np.maximum(begin, end).tolist(), strict=True))


def merged(lattice: Lattice, first: Utterance, second: Utterance) -> Utterance:
    """The hypotheses of two lists of a lattice in the recogniser's order; of equal texts the first list's."""
    texts = {hypothesis.text for hypothesis in first.hypotheses}
    new = (hypothesis for hypothesis in second.hypotheses if hypothesis.text not in texts)

    def total(hypothesis: Hypothesis) -> float:
        return sum(lattice.scales.get(name, 1.0) * value for name, value in hypothesis.scores.items())

    return _utterance(lattice, tuple(sorted((*first.hypotheses, *new), key=total, reverse=True)))


def lattices_with_references(lattices: Sequence[Lattice], references: Mapping[str, str]) -> list[Lattice]:
    """The lattices with what was said, where it is known by the utterance's id."""
    return [replace(lattice, reference=references.get(lattice.id, lattice.reference)) for lattice in lattices]
