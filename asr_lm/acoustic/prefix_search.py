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
from asr_lm.acoustic.prefix_ways import Frame, Ways
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
        edges = self.tree.edges
        completing = edges.target >= len(self.tree)
        reached = np.where(completing, self.search.word_score, guess[np.where(completing, 0, edges.target)])
        ways = Ways.of(edges, reached - before[edges.node])
        merge = np.logaddexp if self.search.merging == "sum" else np.maximum
        for name, value in {"_ways": ways, "_guessed": before, "_merge": merge}.items():
            object.__setattr__(self, name, value)

    _ways: Ways = field(init=False)
    _guessed: Scores = field(init=False)
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
        new = self._new(beam, total, frame, least, index, histories)
        if new is None:
            return beam.later(blank, other, staying(scores, utterance, *limits))
        scores, utterance = np.concatenate([scores, new.other]), np.concatenate([utterance, new.utterance])
        stay = staying(scores, utterance, *limits)
        new = new.rows(stay[2 * len(beam) :].nonzero()[0])
        return concatenated(beam.later(blank, other, stay[: 2 * len(beam)]), new)

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

    def _new(
        self, beam: Beam, total: Scores, frame: Frame, least: Scores, index: KeyIndex, histories: WordHistories
    ) -> Beam | None:
        """Hypotheses that the beam did not hold, with one more token; None if there are none worth it."""
        # What a language model says can only take away, if its weight is not negative.
        bound = least if self.search.lm_weight >= 0 else np.full_like(least, LEAST)
        taken = self._ways.taken(beam, total, frame, bound)
        if not len(taken.row):
            return None
        node = self.tree.edges.target.take(taken.edge)
        history, gain = beam.history.take(taken.row), self._ways.gain.take(taken.edge)
        complete = (node >= len(self.tree)).nonzero()[0]
        if len(complete):
            history[complete] = self._completed(beam, taken.row.take(complete), node.take(complete), histories)
            node[complete] = 0
            of_lm = self.search.lm_weight * histories.lm.take(history.take(complete))
            gain[complete] += of_lm
            taken.score[complete] += of_lm
        utterance, key = beam.utterance.take(taken.row), history * len(self.tree) + node
        good = (index.lacks(key) & (taken.score >= frame.of_utterance(least, utterance))).nonzero()[0]
        if not len(good):
            return None
        row, token = taken.row.take(good), self.tree.edges.token.take(taken.edge.take(good))
        numbers = utterance.take(good), history.take(good), node.take(good), token, key.take(good), beam.key.take(row)
        new = Beam.of(*numbers, taken.score.take(good), gain.take(good), len(self.tree.sources))
        return new if len(self.tree.sources) == 1 else self._with_all_spellings(new, histories)

    def _completed(self, beam: Beam, row: Numbers, target: Numbers, histories: WordHistories) -> Numbers:
        """The histories after words that hypotheses complete; asked once for a row that can complete one word only."""
        known = beam.completed.take(row)
        single = self.tree.ending.take(beam.node.take(row)) == 1
        asked = ((known < 0) | ~single).nonzero()[0]
        if len(asked):
            of_row = row.take(asked)
            known[asked] = histories.extended(beam.history.take(of_row), target.take(asked) - len(self.tree))
            beam.completed[of_row] = np.where(single.take(asked), known.take(asked), -1)
        return known

    def _with_all_spellings(self, new: Beam, histories: WordHistories) -> Beam:
        """New hypotheses, of which those of the same words are one that continues all spellings of the last word."""
        _, first, same = np.unique(new.key, return_index=True, return_inverse=True)
        merged = np.full(len(first), NEVER)
        self._merge.at(merged, same, new.other)
        new = new.rows(first)
        new.other[:] = merged
        words = (new.node == 0).nonzero()[0]
        history = new.history.take(words)
        before = self.tree.sources.take(histories.label.take(history), axis=1)
        new.sources[:, words] = np.where(before < 0, -1, histories.parent.take(history) * len(self.tree) + before)
        added = self.search.word_score + self.search.lm_weight * histories.lm.take(history)
        new.gains[:, words] = added - self._guessed[before]
        return new


def _frames(emissions: Sequence[Scores]) -> Iterator[tuple[int, Scores]]:
    """Frame by frame how many utterances still last, and what they say; the longest come first."""
    utterances = len(emissions)
    for frame in range(len(emissions[0]) if utterances else 0):
        while len(emissions[utterances - 1]) <= frame:
            utterances -= 1
        yield utterances, np.stack([each[frame] for each in emissions[:utterances]])
