"""CTC models of ``transformers`` as emissions: wav2vec 2.0, HuBERT, WavLM and whatever else takes a waveform or frames.

Their tokeniser says what tokens mean: its padding is the blank, its word delimiter the word end, and pieces that begin
with ``▁`` are SentencePiece's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asr_lm.acoustic.recogniser import CtcNetwork, CtcRecogniser
from asr_lm.acoustic.tokens import WORD_BEGIN, Tokens
from asr_lm.errors import InputError

_HELD_AGAINST = 2, 6
"""Seconds of noise of which the frames are counted."""


class HuggingFaceCtc(CtcNetwork):
    """A model from ``AutoModelForCTC`` with its feature extractor."""

    def __init__(self, network: Any, extractor: Any) -> None:
        super().__init__()
        self.network, self.extractor = network.eval(), extractor
        self._frame_samples = self._told_frame_samples() or self._counted_frame_samples()

    @property
    def frame_samples(self) -> int:
        return self._frame_samples

    @property
    def pads(self) -> bool:
        """Never: what padding does to a model is the model's own affair."""
        return False

    def log_probabilities(self, signals: Sequence[Tensor]) -> list[Tensor]:
        given = self.extractor(
            [signal.cpu().numpy() for signal in signals],
            sampling_rate=self.extractor.sampling_rate,
            return_tensors="pt",
        )
        mask = given.get("attention_mask")
        if mask is not None and bool(mask.all()):
            given.pop("attention_mask")
        return [*self.network(**given.to(self.network.device)).logits.float().log_softmax(-1)]

    def _told_frame_samples(self) -> int | None:
        """As a model over waveforms says it."""
        strides = getattr(self.network.config, "conv_stride", None)
        return math.prod(strides) if strides and "input_values" in self.extractor.model_input_names else None

    @torch.inference_mode()
    def _counted_frame_samples(self) -> int:
        """Samples a frame of a model over frames, which are rounded to a hundredth of a second."""
        rate = int(self.extractor.sampling_rate)
        few, many = (len(self.log_probabilities([torch.randn(rate * seconds) * 0.1])[0]) for seconds in _HELD_AGAINST)
        seconds = _HELD_AGAINST[1] - _HELD_AGAINST[0]
        return max(1, round(100 * seconds / (many - few))) * rate // 100


def ctc_recogniser(name: str, network: HuggingFaceCtc, tokenizer: Any) -> CtcRecogniser:
    """A recogniser of a model and its tokeniser.

    Raises:
        InputError: the tokeniser does not say what blank or word end is, or has not as many tokens as the model.
    """
    tokens = tokens_of(tokenizer, int(network.network.config.vocab_size))
    return CtcRecogniser(name, network, tokens, int(network.extractor.sampling_rate))


def tokens_of(tokenizer: Any, outputs: int) -> Tokens:
    """The tokens of a CTC tokeniser.

    Args:
        tokenizer: of ``transformers``.
        outputs: of the network; those without a token are never found.

    Raises:
        InputError: the tokeniser has no blank or no word end, or more tokens than the network has outputs.
    """
    numbers = {number: text for text, number in tokenizer.get_vocab().items()}
    if any(number >= outputs for number in numbers):
        raise InputError(f"the tokeniser has token {max(numbers)}, the model only {outputs} outputs")
    texts = tuple(numbers.get(number, f"<none {number}>") for number in range(outputs))
    blank = tokenizer.pad_token
    if blank is None:
        raise InputError("the tokeniser has no padding (pad_token), which is the blank of a CTC model")
    word_end = getattr(tokenizer, "word_delimiter_token", None)
    pieces = any(text.startswith(WORD_BEGIN) for text in texts)
    if not pieces and (word_end is None or word_end not in numbers.values()):
        raise InputError("the tokeniser has no word delimiter (word_delimiter_token)")
    special = {token for token in tokenizer.all_special_tokens if token in numbers.values()} - {blank, word_end}
    unwritten = special | {text for text in texts if text.startswith("<none ")}
    left_out = tuple(sorted(unwritten))
    if pieces or word_end is None:
        return Tokens(texts, blank, words="pieces", unwritten=left_out)
    return Tokens(texts, blank, word_end, unwritten=left_out)
