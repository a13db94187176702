"""The log-mel frames that Whisper takes (Radford et al. 2022, section 2.2), where no library brings them."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor

SAMPLE_RATE = 16_000
SECONDS = 30

_WINDOW, _HOP = 400, 160
_LEAST = 1e-10
_RANGE = 8.0


def log_mel(signal: Tensor, mels: int) -> Tensor:
    """Frames of 30 seconds, filled up with silence: ``[mels, 3000]`` float32.

    Powers of a window of 25 ms every 10 ms in Slaney's mel bands up to 8 kHz; their decimal logarithm, of which the
    lowest is 8 below the highest, brought to about -1 to 1.

    Args:
        signal: 30 seconds at most, 16,000 samples a second ``[samples]``.
        mels: bands; 80, or 128 from Whisper large-v3 on.
    """
    filled = torch.nn.functional.pad(signal, (0, SECONDS * SAMPLE_RATE - len(signal)))
    bands = torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE, n_fft=_WINDOW, hop_length=_HOP, n_mels=mels, norm="slaney", mel_scale="slaney"
    )
    levels = bands(filled)[:, :-1].clamp(min=_LEAST).log10()
    return (torch.maximum(levels, levels.max() - _RANGE) + 4.0) / 4.0
