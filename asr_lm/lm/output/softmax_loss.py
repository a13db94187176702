"""The loss of a full softmax on a CPU, in as few passes over its logits as there can be.

With a vocabulary of 10,000 words the passes over ``[tokens, vocabulary]`` (logits, their copy in float32, the
log-softmax, its gradient, that of the choice of targets) take longer than the products they stand between. Here the
product is made, the softmax takes its place, and the same memory becomes the gradient: two passes beside the products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SMALLEST = 1e-37
"""Probabilities below this lose their last digits, and cost 85 nats."""

_LIKELY = 0.5


def softmax_nll(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Negative log-likelihood ``[n]`` (nats) of ``targets [n]`` under the softmax of ``hidden · weightᵀ + bias``.

    A target less likely than 1e-37 counts as if it had that probability; its gradient is exact.

    Args:
        hidden: ``[n, width]``.
        weight: ``[vocabulary, width]``.
        bias: ``[vocabulary]``.
        targets: ``[n]``.
        dtype: of the products, and of the probabilities that are kept for the gradient.

    Returns:
        float32 (float64 where the products are).
    """
    found: Tensor = _SoftmaxNll.apply(hidden, weight, bias, targets, dtype)
    return found


class _SoftmaxNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            rows, columns = hidden.to(dtype), weight.to(dtype)
            probs = torch.addmm(bias.to(dtype), rows, columns.T)
            torch.softmax(probs, 1, out=probs)
            every = torch.arange(len(targets))
            own = probs[every, targets].to(torch.promote_types(dtype, torch.float32))
            probs[every, targets] = 0
            others = _others(probs, own)
            # The gradient of the logits is p, less 1 for the target: as the sum of the others it keeps all its digits
            # where p is rounded to 1.
            probs[every, targets] = -others.to(dtype)
        ctx.save_for_backward(rows, columns, probs)
        ctx.types = hidden.dtype, weight.dtype, bias.dtype
        return torch.where(own < _LIKELY, -own.clamp(min=_SMALLEST).log(), -torch.log1p(-others.clamp(max=_LIKELY)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, columns, probs = ctx.saved_tensors
        of_hidden, of_weight, of_bias = ctx.types
        share = gradients[0].to(probs.dtype)[:, None]
        hidden = (probs @ columns).mul_(share).to(of_hidden) if ctx.needs_input_grad[0] else None
        weight = bias = None
        if ctx.needs_input_grad[1]:
            # The bias rides along as one more column, which costs less than a pass of its own.
            both = probs.T @ torch.cat([rows * share, share], dim=1)
            weight, bias = both[:, :-1].to(of_weight), both[:, -1].to(of_bias)
        elif ctx.needs_input_grad[2]:
            bias = (probs.T @ share)[:, 0].to(of_bias)
        return hidden, weight, bias if ctx.needs_input_grad[2] else None, None, None


def _others(probs: Tensor, own: Tensor) -> Tensor:
    """Probability of all tokens but the target ``[n]``, that of a likely target to all digits of its distance to 1.

    ``probs [n, vocabulary]`` is 0 at the targets, whose probability is ``own [n]``.
    """
    others = 1 - own
    likely = (own >= _LIKELY).nonzero()[:, 0]
    if len(likely):
        others[likely] = probs[likely].sum(1, dtype=own.dtype)
    return others
