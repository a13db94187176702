"""What the network of a recogniser's folder is asked before it is taken: are its sizes possible, and does it work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from asr_lm.acoustic.recogniser import CtcNetwork
from asr_lm.errors import InputError

_FINEST = 4
"""Samples of a frame, at least: what is attended to takes the square of the frames."""

_HEARD = 16_000
"""Samples that a network is tried with."""

_TABLES = "n_fft", "win_length", "hop_length", "n_mels", "pad"
_LARGEST_TABLE = 1 << 13
"""Samples and channels of the front end, whose tables no file of weights bounds."""


def check_recogniser_sizes(config: Mapping[str, Any], tensors: int) -> None:
    """Refuse what takes time or memory however few weights there are.

    Raises:
        InputError: more layers than tensors, or a front end of a huge window.
    """
    for name, value in [*_numbers(config.get("encoder_arguments")), *_numbers(config.get("wav2vec2_model"))]:
        if name.endswith("num_layers") and value > tensors:
            raise InputError(f"{value:,} layers with {tensors:,} weights", field=name)
    for name, value in _numbers(config.get("front_end")):
        if name in _TABLES and value > _LARGEST_TABLE:
            raise InputError(f"expected {_LARGEST_TABLE:,} at most", field=f"front_end.{name}")


def _numbers(values: Any) -> list[tuple[str, float]]:
    found = values.items() if isinstance(values, dict) else []
    return [(name, value) for name, value in found if isinstance(value, int | float)]


def try_network(network: CtcNetwork, sample_rate: int, tokens: int) -> None:
    """Let a network hear a second at most: some sizes fail only then.

    Raises:
        InputError: its frames are too short, or it does not give numbers for every token.
        Exception: what torch raises.
    """
    if network.frame_samples < _FINEST:
        raise InputError(f"frames of {network.frame_samples} samples, expected {_FINEST} at least")
    with torch.inference_mode():
        (found,) = network.log_probabilities([torch.linspace(-1, 1, min(sample_rate, _HEARD)).sin()])
    if found.ndim != 2 or found.shape[1] != tokens or not len(found) or found.isnan().any():
        raise InputError("the recogniser gives no log-probabilities of its tokens")
