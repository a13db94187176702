"""Encoder-decoder recognisers: sound of any length in windows, each encoded once and searched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.search_decoder import SearchDecoder
from asr_lm.acoustic.segmentation import energies, spans
from asr_lm.acoustic.segments import Segment
from asr_lm.acoustic.sequences.transcript import Transcript, distinct, joined_windows
from asr_lm.hypotheses.utterance import Hypothesis

LEAST_BEAM = 5
"""The beam that Whisper is published with (Radford et al. 2022, section 4.5)."""

WINDOW = 30.0
"""Seconds that models take at once, Whisper's among them."""


class SequenceModel(Protocol):
    """A loaded encoder-decoder; what it makes of sound and of a prompt is its own affair."""

    @property
    def about(self) -> str:
        """What it is, for messages: "a Whisper model of CTranslate2"."""

    @property
    def sample_rate(self) -> int:
        """Of the signals it takes."""

    @property
    def window(self) -> float:
        """Seconds of sound that it takes at once."""

    def check(self, options: DecodingOptions) -> None:
        """Refuse a language or a task that it does not know; raises InputError."""

    def encoded(self, signal: Signal) -> Any:
        """What the encoder makes of a window ``[samples]``; raises InputError where it is too short."""

    def prompt(self, encoded: Any, options: DecodingOptions) -> Sequence[int]:
        """The tokens that the text is to follow; a language that is not given is told from the sound."""

    def transcripts(self, encoded: Any, prompt: Sequence[int], beam: int, count: int) -> list[Transcript]:
        """What a beam search finds, at most ``count``; the same text may be there twice."""

    def nothing(self, encoded: Any, prompt: Sequence[int]) -> Transcript:
        """The empty text."""


@dataclass(frozen=True)
class SequenceRecogniser:
    """An encoder-decoder with its name."""

    name: str
    model: SequenceModel

    @property
    def sample_rate(self) -> int:
        """Of the signals it takes."""
        return self.model.sample_rate

    def decoder(self, nbest: int, options: DecodingOptions) -> SearchDecoder:
        """A decoder.

        Raises:
            InputError: the options ask for what only CTC recognisers have, or for a language that it does not know.
        """
        decoder = SearchDecoder(partial(self.hypotheses, count=nbest, options=options), options, self.model.about)
        self.model.check(options)
        return decoder

    def hypotheses(self, segment: Segment, count: int, options: DecodingOptions) -> tuple[Hypothesis, ...]:
        """Distinct texts of a segment's samples in the order of the search, at most ``count``.

        ``acoustic`` is the natural-log probability of the whole text, ``tokens`` the number of its tokens. What is
        longer than a window is cut where it is quietest, and the lists are joined
        (:func:`.transcript.joined_windows`). The language is told from the first window. Of a silent segment nothing is
        searched: nothing was said.

        Raises:
            InputError: it is too short.
        """
        beam = options.beam or max(count, LEAST_BEAM)
        most = min(count, beam)
        windows = cut(segment.content, self.sample_rate, self.model.window)
        encoded = self.model.encoded(windows[0])
        prompt = self.model.prompt(encoded, options)
        if segment.silent:
            return (self.model.nothing(encoded, prompt).hypothesis,)
        more = (self.model.encoded(window) for window in windows[1:])
        lists = [distinct(self.model.transcripts(one, prompt, beam, most)) for one in itertools.chain([encoded], more)]
        return tuple(one.hypothesis for one in joined_windows(lists, count))


def cut(signal: Signal, sample_rate: int, seconds: float) -> list[Signal]:
    """A signal in windows of at most so many seconds, cut where it is quietest."""
    if len(signal) <= seconds * sample_rate:
        return [signal]
    found = spans(energies([signal], sample_rate), sample_rate, len(signal), seconds)
    return [signal[span.first : span.first + span.length] for span in found]
