"""How the hypotheses of a search go on: what a frame says, and which edges of the lexicon's tree are worth taking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_lm.acoustic.lexicon_tree import Edges, Numbers, Scores
from asr_lm.acoustic.prefix_beam import NEVER, Beam

TOKENS_A_FRAME = 100
"""The likeliest tokens, with which hypotheses go on."""


@dataclass(frozen=True)
class Frame:
    """One frame of every utterance that still lasts.

    Attributes:
        said: log-probabilities of tokens ``[utterances, tokens]``.
        new: the same, of what a hypothesis may go on with; the blank is not among these.
        likeliest: the best of ``new`` ``[utterances]``.
    """

    said: Scores
    new: Scores
    likeliest: Scores

    @classmethod
    def of(cls, said: Scores, blank: int) -> Frame:
        new = said.copy()
        if (others := said.shape[1] - TOKENS_A_FRAME) > 0:
            np.put_along_axis(new, np.argpartition(said, others, axis=1)[:, :others], NEVER, axis=1)
        new[:, blank] = NEVER
        return cls(said, new, new.max(axis=1))

    @property
    def utterances(self) -> int:
        return len(self.said)

    def of_utterance(self, values: Scores, utterance: Numbers) -> Scores:
        """Values of utterances for each row ``[rows]``; of one utterance just its value."""
        return values if self.utterances == 1 else values.take(utterance)

    def of_token(self, values: Scores, utterance: Numbers, token: Numbers) -> Scores:
        """Values of tokens ``[utterances, tokens]`` for each row ``[rows]``."""
        if self.utterances == 1:
            return values[0].take(token)
        return values.ravel().take(utterance * values.shape[1] + token)


@dataclass(frozen=True)
class Taken:
    """Edges that hypotheses take ``[n]``: the row of each, the edge, and the score then."""

    row: Numbers
    edge: Numbers
    score: Scores


@dataclass(frozen=True)
class Ways:
    """Edges of a tree with what is added to the score of a hypothesis that takes one.

    Attributes:
        edges: from all nodes.
        gain: ``[edges]``.
        most: the largest gain of a node's edges ``[nodes]``.
    """

    edges: Edges
    gain: Scores
    most: Scores

    @classmethod
    def of(cls, edges: Edges, gain: Scores) -> Ways:
        most = np.full(len(edges.first), NEVER)
        np.maximum.at(most, edges.node, gain)
        return cls(edges, gain, most)

    def taken(self, beam: Beam, total: Scores, frame: Frame, least: Scores) -> Taken:
        """The edges by which hypotheses reach the least score of their utterance.

        Args:
            beam: the hypotheses.
            total: score of each, whatever it ends in ``[rows]``.
            frame: what is said.
            least: ``[utterances]``.
        """
        margin = total - frame.of_utterance(least, beam.utterance)
        best = margin + frame.of_utterance(frame.likeliest, beam.utterance) + self.most.take(beam.node)
        active = (best >= 0).nonzero()[0]
        at_root = beam.node.take(active) == 0
        root, inside = active[at_root], active[~at_root]
        parts = []
        if len(root):
            parts.append(self._from_root(root, beam, margin, frame))
        if len(inside):
            parts.append(self._from_inside(inside, beam, margin, frame))
        if len(parts) == 2:
            row, edge = np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([parts[0][1], parts[1][1]])
        else:
            row, edge = parts[0] if parts else (active, active)
        token = self.edges.token.take(edge)
        # After the same token a blank has to stand between the two.
        score = np.where(beam.token.take(row) == token, beam.blank.take(row), total.take(row))
        score += frame.of_token(frame.new, beam.utterance.take(row), token) + self.gain.take(edge)
        return Taken(row, edge, score)

    def _from_inside(self, rows: Numbers, beam: Beam, margin: Scores, frame: Frame) -> tuple[Numbers, Numbers]:
        """Rows and edges of those that may reach the least score."""
        node = beam.node.take(rows)
        count = self.edges.count.take(node)
        edge = _spread(self.edges.first.take(node), count)
        place = self.edges.token.take(edge)
        if frame.utterances > 1:
            place += np.repeat(beam.utterance.take(rows) * frame.new.shape[1], count)
        reached = frame.new.ravel().take(place) + self.gain.take(edge) + np.repeat(margin.take(rows), count) >= 0
        chosen = reached.nonzero()[0]
        return np.repeat(rows, count).take(chosen), edge.take(chosen)

    def _from_root(self, rows: Numbers, beam: Beam, margin: Scores, frame: Frame) -> tuple[Numbers, Numbers]:
        """As :meth:`_from_inside`; at the root all rows have the same edges, and few of these are likely in a frame."""
        utterance, at_root = beam.utterance.take(rows), slice(0, int(self.edges.count[0]))
        value = frame.new.take(self.edges.token[at_root], axis=1) + self.gain[at_root]
        best = np.full(frame.utterances, NEVER)
        np.maximum.at(best, utterance, margin.take(rows))
        likely, edge = (value + best[:, None] >= 0).nonzero()
        count = np.bincount(likely, minlength=frame.utterances)
        first, of_rows = (np.cumsum(count) - count).take(utterance), count.take(utterance)
        place = _spread(first, of_rows)
        chosen = (value[likely, edge].take(place) + np.repeat(margin.take(rows), of_rows) >= 0).nonzero()[0]
        return np.repeat(rows, of_rows).take(chosen), edge.take(place.take(chosen))


def _spread(first: Numbers, count: Numbers) -> Numbers:
    """Numbers from ``first`` on, ``count`` of them, for each after the other."""
    ends = np.cumsum(count)
    return np.arange(ends[-1]) + np.repeat(first - ends + count, count)
