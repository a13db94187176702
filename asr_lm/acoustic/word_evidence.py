"""What the sound says of each word of a text, whatever the other hypotheses of its list are.

A word that all hypotheses of a list have may be wrong, and the list cannot tell. The emissions can: along the best
alignment (:func:`asr_lm.acoustic.ctc.best_alignments`) a word that was said is also what the network likes best frame
by frame, and a word that a lexicon or a language model put there is not. The acoustic confidence measures of Wessel,
Schlüter, Macherey and Ney (IEEE Transactions on Speech and Audio Processing 2001, section II) in the form that CTC
gives them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr_lm.acoustic.ctc import SILENCE, Chain, WordStates, best_alignments, chain, with_silence
from asr_lm.acoustic.tokens import Spelt, Tokens

Values = NDArray[np.float64]

WIDTHS = (3, 10, 25)
"""Frames before and after a word that belong to its surroundings."""

FEATURES = (
    "margin", "margin a frame", "least token", "mean token", "entropy", "margin before", "margin after",
    "frames a token", *(f"margin within {width} frames" for width in WIDTHS), "entropy around",
)  # fmt: skip
"""Margins: log-probability of the alignment less that of the likeliest tokens, summed over frames, natural log."""


def word_evidence(emissions: Tensor, text: Spelt, tokens: Tokens) -> Values:
    """The :data:`FEATURES` of each word ``[words, features]``.

    Args:
        emissions: log-probabilities ``[frames, tokens]``.
        text: the tokens of its words, which must fit into the frames; at least one word.
        tokens: of the recogniser.
    """
    (states,) = best_alignments(emissions, [text], tokens)
    said = _Said.of(emissions, states, chain(text, tokens), tokens)
    spans = [said.span(word) for word in said.chain.words]
    ends = [0, *(end for _, end in spans)]
    begins = [*(begin for begin, _ in spans), len(states)]
    return np.array(
        [
            said.features(word, span, ends[place], begins[place + 1])
            for place, (word, span) in enumerate(zip(said.chain.words, spans, strict=True))
        ]
    )


class _Said:
    """An alignment beside what the network likes best.

    Args:
        states: state of the chain in every frame ``[frames]``.
        chain: the states of the text.
        aligned: log-probability of the state's token ``[frames]``.
        margins: the same less that of the likeliest token ``[frames]``.
        entropies: of the tokens, natural log ``[frames]``.
        blank: number of the blank.
    """

    def __init__(
        self, states: NDArray[np.int64], chain: Chain, aligned: Values, margins: Values, entropies: Values, blank: int
    ) -> None:
        self.chain = chain
        self._states, self._labels = states, np.array(chain.labels)
        self._aligned, self._margins, self._entropies = aligned, margins, entropies
        self._blank = blank

    @classmethod
    def of(cls, emissions: Tensor, states: NDArray[np.int64], chain: Chain, tokens: Tokens) -> _Said:
        normal = emissions.double().log_softmax(-1)
        said = with_silence(normal, tokens).numpy(force=True)
        aligned = said[np.arange(len(states)), np.array(chain.labels)[states]]
        entropies = -(normal.exp() * normal.clamp(min=-1e4)).sum(1).numpy(force=True)
        return cls(states, chain, aligned, aligned - said.max(1), entropies, tokens.blank_number)

    def span(self, word: WordStates) -> tuple[int, int]:
        """First frame of a word, and the one after its last."""
        begin, end = np.searchsorted(self._states, [word.first, word.last + 1])
        return int(begin), int(end)

    def features(self, word: WordStates, span: tuple[int, int], before: int, after: int) -> list[float]:
        """The :data:`FEATURES` of a word.

        Args:
            word: its states.
            span: its frames.
            before: the frame in which what lies before it begins.
            after: the frame at which what lies behind it ends.
        """
        begin, end = span
        margins, peaks = self._margins, self._peaks(word, begin, end)
        inside = margins[begin:end]
        return [
            float(inside.sum()),
            float(inside.mean()),
            min(peaks),
            sum(peaks) / len(peaks),
            float(self._entropies[begin:end].mean()),
            float(margins[before:begin].sum()),
            float(margins[end:after].sum()),
            float(np.log((end - begin) / len(peaks))),
            *(float(margins[max(0, begin - width) : end + width].sum()) for width in WIDTHS),
            float(self._entropies[max(0, begin - WIDTHS[-1]) : end + WIDTHS[-1]].mean()),
        ]

    def _peaks(self, word: WordStates, begin: int, end: int) -> list[float]:
        """Highest log-probability of each token of a word within its own frames."""
        states, aligned = self._states[begin:end], self._aligned[begin:end]
        places = [s for s in range(word.first, word.last + 1) if self._labels[s] not in (self._blank, SILENCE)]
        return [float(aligned[states == place].max()) for place in places]


def unknown_evidence(words: Sequence[str]) -> Values:
    """The same of words of which the sound says nothing ``[words, features]``."""
    return np.full((len(words), len(FEATURES)), np.nan)
