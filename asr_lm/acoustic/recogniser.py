"""A CTC recogniser: from the samples of an utterance to log-probabilities of tokens, frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.ctc_decoder import CtcDecoder, make_ctc_decoder
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.tokens import Tokens
from asr_lm.counted import counted
from asr_lm.errors import InputError


class CtcNetwork(nn.Module, ABC):
    """What a recogniser computes."""

    @abstractmethod
    def log_probabilities(self, signals: Sequence[Tensor]) -> list[Tensor]:
        """Natural-log probabilities ``[frames, tokens]`` of each signal ``[samples]``.

        Signals differ in length only where the network :attr:`pads`. Where one is too short for a frame beside others,
        it has no frames; alone, RuntimeError or ValueError are well, too.
        """

    @property
    @abstractmethod
    def pads(self) -> bool:
        """Whether signals of different lengths can be computed together without a trace of it in the result."""

    @property
    @abstractmethod
    def frame_samples(self) -> int:
        """Samples from one frame to the next."""


@dataclass(frozen=True)
class CtcRecogniser:
    """A network with what it was trained for.

    Attributes:
        name: what the user calls it.
        network: in evaluation mode.
        tokens: what its outputs mean.
        sample_rate: of the signals it takes.
        words: a file of the words that a search may find, where the recogniser brings one.
    """

    name: str
    network: CtcNetwork
    tokens: Tokens
    sample_rate: int
    words: Path | None = None

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.network.frame_samples / self.sample_rate

    @property
    def pads(self) -> bool:
        """Whether signals of different lengths can be computed together."""
        return self.network.pads

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(next(self.network.parameters()).device)

    def decoder(self, nbest: int, options: DecodingOptions) -> CtcDecoder:
        """A decoder over the words that the options or the recogniser bring, else over tokens.

        Raises:
            InputError: a file cannot be read, or the search cannot be had.
        """
        return make_ctc_decoder(nbest, options, self.tokens, self.frame_seconds, self.words, self)

    def emissions(self, signal: Signal) -> Tensor:
        """Log-probabilities ``[frames, tokens]`` float32, on the CPU, of one signal ``[samples]``.

        Raises:
            InputError: the signal is too short for a single frame, or the network's output is not finite.
        """
        (found,) = self.batch([signal])
        if isinstance(found, InputError):
            raise found
        return found

    @torch.inference_mode()
    def batch(self, signals: Sequence[Signal]) -> list[Tensor | InputError]:
        """Emissions of signals that are computed together, or what is wrong with one.

        Where memory runs out the batch is halved.

        Args:
            signals: of one length, unless the network pads.
        """
        least = self.network.frame_samples
        long_enough = [number for number, signal in enumerate(signals) if len(signal) >= least]
        computed = dict(zip(long_enough, self._computed([signals[number] for number in long_enough]), strict=True))
        return [self._checked(signal, computed.get(number)) for number, signal in enumerate(signals)]

    def _computed(self, signals: Sequence[Signal]) -> list[Tensor | None]:
        if not signals:
            return []
        device = self.device
        try:
            return [*self.network.log_probabilities([torch.from_numpy(signal).to(device) for signal in signals])]
        except torch.OutOfMemoryError:
            if len(signals) == 1:
                raise
        except (RuntimeError, ValueError):
            if len(signals) == 1:
                if len(signals[0]) < 4 * self.network.frame_samples:
                    return [None]
                raise
            if max(map(len, signals)) >= 4 * self.network.frame_samples:
                raise
        half = len(signals) // 2
        return self._computed(signals[:half]) + self._computed(signals[half:])

    def _checked(self, signal: Signal, found: Tensor | None) -> Tensor | InputError:
        if found is None or not len(found):
            return InputError(f"{counted(len(signal), 'sample is', 'samples are')} too few for a frame")
        if not torch.isfinite(found).all():
            return InputError("the recogniser's output is not finite")
        return found.float().cpu()
