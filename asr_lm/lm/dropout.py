"""Dropout whose random numbers cost little on a CPU.

Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout: a simple way to prevent neural networks from
overfitting (JMLR 15, 2014). torch draws a double-precision number for each unit, which took a twentieth of the training
of a large LSTM; 16 random bits a unit are enough, four units to a draw.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """As torch's, its share rounded to a multiple of 2⁻¹⁶ on a CPU.

    Args:
        p: share of the units that are dropped.
        same_over_time: drop the same units of ``[batch, time, width]`` at all times (variational dropout: Gal and
            Ghahramani, A theoretically grounded application of dropout in recurrent neural networks, NeurIPS 2016).
    """

    def __init__(self, p: float, *, same_over_time: bool = False) -> None:
        super().__init__(p)
        self.same_over_time = same_over_time

    def forward(self, input: Tensor) -> Tensor:
        """``input`` of any shape (``same_over_time``: ``[batch, time, width]``) to the same shape."""
        if not self.training or self.p == 0:
            return input
        if self.same_over_time:
            return input * self._factors(input[:, :1])
        return super().forward(input) if input.device.type != "cpu" else input * self._factors(input)

    def _factors(self, like: Tensor) -> Tensor:
        """0 for what is dropped, else what keeps the mean, in the shape and type of ``like``."""
        if like.device.type != "cpu":
            return nn.functional.dropout(torch.ones_like(like), self.p)
        dropped = min(max(round(self.p * _LEVELS), 1), _LEVELS - 1)
        draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
        bits = draws.view(torch.int16)[: like.numel()].view(like.shape)
        return (bits >= dropped - _LEVELS // 2).to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))
