"""RNN-T recognisers (Graves 2012): torchaudio's Emformer, searched by torchaudio's beam search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchaudio import pipelines

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.bundles import bundles_of, fetched
from asr_lm.acoustic.decoder import RecogniserKind
from asr_lm.acoustic.first_pass import ACOUSTIC, DECIMALS
from asr_lm.acoustic.options import OF_SEQUENCES, DecodingOptions
from asr_lm.acoustic.search_decoder import SearchDecoder
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis

_LEAST_BEAM = 10
_ABOUT = "an RNN-T"


@dataclass(frozen=True)
class RnntRecogniser:
    """The parts of a torchaudio RNN-T pipeline.

    Attributes:
        name: what the user calls it.
        sample_rate: of the signals it takes.
        features: a signal's frames ``[frames, features]`` and their number ``[1]``.
        beam_search: a ``torchaudio.models.RNNTBeamSearch``.
        text: of a token sequence whose first is the blank.
    """

    name: str
    sample_rate: int
    features: Callable[[Tensor], tuple[Tensor, Tensor]]
    beam_search: Any
    text: Callable[[list[int]], str]

    def decoder(self, nbest: int, options: DecodingOptions) -> SearchDecoder:
        """A decoder.

        Raises:
            InputError: the options ask for what only other recognisers have.
        """
        options.refuse(OF_SEQUENCES, _ABOUT)
        beam = options.beam or max(nbest, _LEAST_BEAM)
        return SearchDecoder(lambda segment: self.hypotheses(segment.content, nbest, beam), options, _ABOUT)

    @torch.inference_mode()
    def hypotheses(self, signal: Signal, count: int, beam: int) -> tuple[Hypothesis, ...]:
        """Distinct texts, at most ``count``, in the order of the search.

        The search orders by log-probability divided by the number of tokens, and that order is kept; ``acoustic`` is
        the natural-log probability itself, summed over the token sequences found that make the same text.

        Raises:
            InputError: the signal is too short.
        """
        try:
            features, length = self.features(torch.from_numpy(signal))
            device = next(self.beam_search.parameters()).device
            found = self.beam_search(features.to(device), length.to(device), beam)
        except RuntimeError as error:
            if len(signal) < self.sample_rate // 10:
                raise InputError(
                    f"{counted(len(signal), 'sample is', 'samples are')} too few for the recogniser"
                ) from error
            raise
        scores: dict[str, float] = {}
        for tokens, _, _, score in found:
            text = " ".join(self.text(tokens).split())
            scores[text] = _log_sum(scores.get(text, -math.inf), float(score))
        listed = [Hypothesis(text, {ACOUSTIC: round(score, DECIMALS)}) for text, score in scores.items()]
        return tuple(listed[:count])


def _log_sum(first: float, second: float) -> float:
    larger, smaller = max(first, second), min(first, second)
    return larger + math.log1p(math.exp(smaller - larger)) if smaller > -math.inf else larger


def rnnt_bundles() -> list[str]:
    """The names of torchaudio's RNN-T recognisers."""
    return bundles_of(pipelines.RNNTBundle)


def load_rnnt_bundle(name: str, device: str) -> RnntRecogniser:
    """An RNN-T recogniser of torchaudio.

    Raises:
        InputError: its weights cannot be had.
    """
    bundle = getattr(pipelines, name)
    return RnntRecogniser(
        name,
        bundle.sample_rate,
        fetched(name, bundle.get_feature_extractor),
        fetched(name, bundle.get_decoder).eval().to(device),
        fetched(name, bundle.get_token_processor),
    )


KIND = RecogniserKind(
    "an RNN-T recogniser of torchaudio.pipelines", rnnt_bundles, lambda name: name in rnnt_bundles(), load_rnnt_bundle
)
