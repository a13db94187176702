"""A beam search over CTC emissions: words of a lexicon or any tokens, with or without an n-gram model.

It is the prefix search of Graves et al. (*Connectionist Temporal Classification*, 2006, section 3.2), frame by frame
with a beam as in Hannun et al. (*First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
Recurrent DNNs*, 2014, algorithm 1): a hypothesis has one score for its alignments that end in a blank and one for those
that end in its last token. Words come from a prefix tree of their spellings, and on the way to its end a word is given
the language model's best score of all words that it may become (Ortmanns, Ney, Eiden, *Language-Model Look-Ahead for
Large Vocabulary Speech Recognition*, 1996; as in Collobert, Puhrsch, Synnaeve, *Wav2Letter*, 2016).

All hypotheses of a frame, also those of several utterances, go on together. What is new in a beam has to be better than
the worst that the hypotheses would leave in it if none were new; so only few ways to go on are ever looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lm.acoustic.lexicon_tree import LexiconTree, Numbers, Scores
from asr_lm.acoustic.options import BeamOptions
from asr_lm.acoustic.prefix_beam import LEAST, NEVER, Beam, KeyIndex, concatenated, least_scores, staying
from asr_lm.acoustic.prefix_ways import Frame, Taken, Ways
from asr_lm.acoustic.word_histories import LabelModel, NoModel, WordHistories


class FoundLabels(NamedTuple):
    """Labels that a search found, and their score: acoustic, of the language model, and for words."""

    labels: list[int]
    score: float


@dataclass(frozen=True)
class PrefixSearch:
    """A search.

    Attributes:
        tree: of the words that may be found; where each token is a word any sequence of tokens is.
        blank: the blank's number.
        silence: number of the token that ends every word and may be repeated after it; None without one.
        search: beam, threshold, weights, and how alignments are merged.
        model: of the tree's labels.
        look_ahead: score of each label to guess by before its word is complete ``[labels]``; None guesses nothing.
    """

    tree: LexiconTree
    blank: int
    silence: int | None
    search: BeamOptions
    model: LabelModel = field(default_factory=NoModel)
    look_ahead: Scores | None = None

    def __post_init__(self) -> None:
        guess = np.zeros(len(self.tree)) if self.look_ahead is None else self.tree.best_below(self.look_ahead)
        guess *= self.search.lm_weight
        before = guess.copy()
        before[0] = 0.0
        inner, ends = self.tree.inner, self.tree.ends
        completed = self.search.word_score - before
        for name, value in {
            "_inner": Ways.of(inner, guess[inner.target] - before[inner.node]),
            "_ends": Ways.of(ends, completed[ends.node]),
            "_completed": completed,
            "_merge": np.logaddexp if self.search.merging == "sum" else np.maximum,
        }.items():
            object.__setattr__(self, name, value)

    _inner: Ways = field(init=False)
    _ends: Ways = field(init=False)
    _completed: Scores = field(init=False)
    _merge: np.ufunc = field(init=False)

    def run(self, emissions: Sequence[NDArray[np.floating]]) -> list[list[FoundLabels]]:
        """Search utterances together.

        Args:
            emissions: log-probabilities ``[frames, tokens]`` of each.

        Returns:
            For each utterance what its beam holds at the end, best first.
        """
        order = sorted(range(len(emissions)), key=lambda one: -len(emissions[one]))
        ordered = [np.asarray(emissions[one], dtype=np.float64) for one in order]
        histories = WordHistories(len(order), len(self.tree.words), self.model)
        found: list[list[FoundLabels]] = [[] for _ in order]
        beam = Beam.start(len(order), len(self.tree), self._first_token, len(self.tree.sources))
        lasting = len(order)
        for utterances, frame in _frames(ordered):
            if utterances < lasting:
                beam, lasting = self._take_out(beam, utterances, histories, order, found), utterances
            beam = self._step(beam, Frame.of(frame, self.blank), histories)
        self._take_out(beam, 0, histories, order, found)
        return found

    @property
    def _first_token(self) -> int:
        return self.blank if self.silence is None else self.silence

    def _take_out(
        self, beam: Beam, last: int, histories: WordHistories, order: Sequence[int], found: list[list[FoundLabels]]
    ) -> Beam:
        """The beam without the utterances that are over, which are those from number ``last`` on."""
        over = beam.utterance >= last
        if not over.any():
            return beam
        for utterance in np.unique(beam.utterance[over]).tolist():
            rows = beam.rows(np.flatnonzero(beam.utterance == utterance))
            found[order[utterance]] = self._final(rows, histories)
        return beam.rows(np.flatnonzero(~over))

    def _final(self, beam: Beam, histories: WordHistories) -> list[FoundLabels]:
        """What an utterance's beam holds, best first; a word that is not complete is left out."""
        between = beam.node == 0
        if between.any():
            beam = beam.rows(between.nonzero()[0])
        scores = self._merge(beam.blank, beam.other) + self.search.lm_weight * histories.ends(beam.history)
        stay = staying(scores, np.zeros_like(beam.key), 1, self.search.beam, self.search.threshold).nonzero()[0]
        best: dict[int, float] = {}
        for row in stay[np.argsort(-scores[stay], kind="stable")].tolist():
            best.setdefault(int(beam.history[row]), float(scores[row]))
        return [FoundLabels(histories.labels(history), score) for history, score in best.items()]

    def _step(self, beam: Beam, frame: Frame, histories: WordHistories) -> Beam:
        """The beam a frame later."""
        total = self._merge(beam.blank, beam.other)
        index = KeyIndex(beam.key)
        blank = total + frame.of_utterance(frame.said[:, self.blank], beam.utterance)
        other = self._continued(beam, total, frame, index)
        scores, utterance = np.concatenate([blank, other]), np.concatenate([beam.utterance, beam.utterance])
        limits = frame.utterances, self.search.beam, self.search.threshold
        least = least_scores(scores, utterance, *limits)
        begun = self._begun(beam, total, frame, least, index)
        completing = self._completing(beam, total, frame, least, index, histories)
        new = concatenated([begun, completing])
        scores, utterance = np.concatenate([scores, new.other]), np.concatenate([utterance, new.utterance])
        stay = staying(scores, utterance, *limits)
        return concatenated(
            [beam.later(blank, other, stay[: 2 * len(beam)]), new.rows(stay[2 * len(beam) :].nonzero()[0])]
        )

    def _continued(self, beam: Beam, total: Scores, frame: Frame, index: KeyIndex) -> Scores:
        """Scores of hypotheses that say their last token: once more, or for the first time."""
        said = frame.of_token(frame.said, beam.utterance, beam.token)
        other = (beam.other if self.silence is None else np.where(beam.node == 0, total, beam.other)) + said
        for source, gain in zip(beam.sources, beam.gains, strict=True):
            found, before = index.find(source)
            if len(found):
                token = beam.token.take(found)
                score = np.where(beam.token.take(before) == token, beam.blank.take(before), total.take(before))
                score += frame.of_token(frame.new, beam.utterance.take(found), token) + gain.take(found)
                other[found] = self._merge(other[found], score)
        return other

    def _begun(self, beam: Beam, total: Scores, frame: Frame, least: Scores, index: KeyIndex) -> Beam:
        """Hypotheses that are new, with one more token of a word that is not yet complete."""
        taken = self._inner.taken(beam, total, frame, least)
        history, node = beam.history.take(taken.row), self._inner.edges.target.take(taken.edge)
        key = history * len(self.tree) + node
        lacking = index.lacks(key)
        row, edge = taken.row.take(lacking), taken.edge.take(lacking)
        source = np.full((len(self.tree.sources), len(row)), -1)
        source[0] = beam.key.take(row)
        gain = np.zeros(source.shape)
        gain[0] = self._inner.gain.take(edge)
        token, utterance = self._inner.edges.token.take(edge), beam.utterance.take(row)
        history, node, key = history.take(lacking), node.take(lacking), key.take(lacking)
        return Beam.of(utterance, history, node, token, key, source, taken.score.take(lacking), gain)

    def _completing(
        self, beam: Beam, total: Scores, frame: Frame, least: Scores, index: KeyIndex, histories: WordHistories
    ) -> Beam:
        """Hypotheses that are new, with one more word."""
        # A log-probability can only take away, if its weight is not negative.
        bound = least if self.search.lm_weight >= 0 else np.full_like(least, LEAST)
        taken = self._ends.taken(beam, total, frame, bound)
        history = self._completed_histories(beam, taken, histories)
        lacking = index.lacks(history * len(self.tree))
        history, row, edge = history.take(lacking), taken.row.take(lacking), taken.edge.take(lacking)
        score = taken.score.take(lacking) + self.search.lm_weight * histories.lm.take(history)
        utterance, label = beam.utterance.take(row), self._ends.edges.target.take(edge)
        good = (score >= least.take(utterance)).nonzero()[0]
        return self._words(history.take(good), utterance.take(good), label.take(good), score.take(good), histories)

    def _words(
        self, history: Numbers, utterance: Numbers, label: Numbers, score: Scores, histories: WordHistories
    ) -> Beam:
        """New hypotheses between words."""
        if len(self.tree.sources) > 1:  # a word's spellings are one hypothesis
            history, first, same = np.unique(history, return_index=True, return_inverse=True)
            merged = np.full(len(history), NEVER)
            self._merge.at(merged, same, score)
            utterance, label, score = utterance[first], label[first], merged
        before, nodes = self.tree.sources.take(label, axis=1), len(self.tree)
        source = np.where(before < 0, -1, histories.parent.take(history) * nodes + before)
        gain = self._completed[before] + self.search.lm_weight * histories.lm.take(history)
        zeros = np.zeros_like(history)
        return Beam.of(utterance, history, zeros, self.tree.last.take(label), history * nodes, source, score, gain)

    def _completed_histories(self, beam: Beam, taken: Taken, histories: WordHistories) -> Numbers:
        """The histories after words that hypotheses complete; asked once for a row that can complete one word only."""
        known = beam.completed.take(taken.row)
        single = self._ends.edges.count.take(beam.node.take(taken.row)) == 1
        asked = ((known < 0) | ~single).nonzero()[0]
        if len(asked):
            row = taken.row.take(asked)
            label = self._ends.edges.target.take(taken.edge.take(asked))
            known[asked] = histories.extended(beam.history.take(row), label)
            beam.completed[taken.row] = np.where(single, known, -1)
        return known


def _frames(emissions: Sequence[Scores]) -> Iterator[tuple[int, Scores]]:
    """Frame by frame how many utterances still last, and what they say; the longest come first."""
    utterances = len(emissions)
    for frame in range(len(emissions[0]) if utterances else 0):
        while len(emissions[utterances - 1]) <= frame:
            utterances -= 1
        yield utterances, np.stack([each[frame] for each in emissions[:utterances]])
