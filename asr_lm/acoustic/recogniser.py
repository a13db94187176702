"""A CTC recogniser: from the samples of an utterance to log-probabilities of tokens, frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asr_lm.acoustic.audio import Signal
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError


class CtcNetwork(nn.Module, ABC):
    """What a recogniser computes."""

    @abstractmethod
    def log_probabilities(self, signal: Tensor) -> Tensor:
        """Natural-log probabilities ``[frames, tokens]`` of one signal ``[samples]``."""

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
    """

    name: str
    network: CtcNetwork
    tokens: Tokens
    sample_rate: int

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.network.frame_samples / self.sample_rate

    @torch.inference_mode()
    def emissions(self, signal: Signal) -> Tensor:
        """Log-probabilities ``[frames, tokens]`` float32, on the CPU, of one signal ``[samples]``.

        An utterance is computed alone: padded beside a longer one, a convolution or a normalisation over time would
        give it other values.

        Raises:
            InputError: the signal is too short for a single frame.
        """
        given = torch.from_numpy(signal)
        if len(given) < self.network.frame_samples:
            raise InputError(f"{len(given)} samples are too few for a frame")
        device = next(self.network.parameters()).device
        try:
            found = self.network.log_probabilities(given.to(device))
        except (RuntimeError, ValueError) as error:
            if len(given) < 4 * self.network.frame_samples:
                raise InputError(f"{len(given)} samples are too few for the recogniser") from error
            raise
        if not len(found):
            raise InputError(f"{len(given)} samples are too few for a frame")
        if not torch.isfinite(found).all():
            raise InputError("the recogniser's output is not finite")
        return found.float().cpu()
