"""The number format of matrix products: float32, or bfloat16 where the processor is quicker with it.

bfloat16 has the range of float32 and 8 bits of its precision. Processors with units for it (AMX on a CPU, tensor cores
on a GPU) multiply several times as fast; others multiply slower by orders of magnitude. So ``auto`` measures. Weights
stay in float32 while they are trained, and so do sums: a product alone is rounded (Kalamkar et al. 2019, A study of
BFLOAT16 for deep learning training).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from asr_lm.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""What products are computed in."""

PrecisionChoice: TypeAlias = Literal["auto", "float32", "bfloat16"]
"""What may be asked for; ``auto`` measures which is quicker."""

CHOICES: tuple[PrecisionChoice, ...] = ("auto", "float32", "bfloat16")

IN_BFLOAT16 = "computes in bfloat16, in which products are quicker here; `precision=float32` gives exact scores"
"""What is said of a model that scores so, after its name."""

SHARD_WORK = 4e10
"""Hypotheses that are scored and kept at a time, times parameters: some 10 seconds of a processor."""

_NARROWEST = 128
"""Matrices with a narrower side are not worth the conversions."""

_LARGEST = 1024
_ROWS = 256
"""The trial's product is ``[256, in] x [in, out]``, both sides cut to 1,024: some milliseconds in float32."""

_WORTH_IT = 1.5
"""How many times as fast the product must be: what is not a product stays as it was."""

_REPEATS = 3


def check_precision(asked: str) -> PrecisionChoice:
    """A name that was given, as one of :data:`CHOICES`.

    Raises:
        InputError: it is none.
    """
    for choice in CHOICES:
        if asked == choice:
            return choice
    raise InputError(f"expected one of {', '.join(CHOICES)}, not {asked!r}", parameter="precision")


def resolve_precision(asked: PrecisionChoice, network: nn.Module, device: str | None = None) -> Precision:
    """What the products of a network are computed in; ``auto`` measures the largest of them.

    Args:
        asked: what may be asked for.
        network: its weights may take no memory yet.
        device: where they are to lie, if not where they are.
    """
    if asked != "auto":
        return asked
    sizes = largest_matrix(network)
    if sizes is None:
        return "float32"
    kind = next(network.parameters()).device.type if device is None else device.partition(":")[0]
    return "bfloat16" if speedup(kind, *sizes) >= _WORTH_IT else "float32"


def largest_matrix(network: nn.Module) -> tuple[int, int] | None:
    """Sides ``(out, in)`` of the largest weight matrix, cut to what is measured; None where all are narrow."""
    shapes = [tuple(parameter.shape) for parameter in network.parameters() if parameter.dim() == 2]
    wide = [shape for shape in shapes if min(shape) >= _NARROWEST]
    if not wide:
        return None
    rows, columns = max(wide, key=lambda shape: shape[0] * shape[1])
    return min(rows, _LARGEST), min(columns, _LARGEST)


@cache
def speedup(device: str, outputs: int, inputs: int) -> float:
    """How many times as fast ``[256, inputs] x [inputs, outputs]`` is in bfloat16 as in float32 on a device here.

    Measured once in a process. A processor that is slow with bfloat16 is noticed by a product an eighth of the size.
    """
    import torch

    if device not in ("cpu", "cuda"):
        return 0.0
    rows = torch.randn(_ROWS, inputs, device=device)
    weight = torch.randn(outputs, inputs, device=device)
    half = rows.bfloat16(), weight.bfloat16()
    trial = _ROWS // 8
    if _best(lambda: half[0][:trial] @ half[1].T, device) > _best(lambda: rows @ weight.T, device):
        return 0.0
    # In turn, so that what else the machine does is shared.
    times = [(_best(lambda: rows @ weight.T, device), _best(lambda: half[0] @ half[1].T, device)) for _ in range(2)]
    return min(slow for slow, _ in times) / min(fast for _, fast in times)


@cache
def has_bfloat16_lstm() -> bool:
    """Whether torch's LSTM of float32 weights computes in bfloat16 on the CPU here; tried once in a process.

    Under autocast torch takes oneDNN's, which processors without units for bfloat16 do not have (torch 2.11).
    """
    import torch

    with torch.random.fork_rng([]):
        layer = torch.nn.LSTM(1, 1)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            layer(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def _best(work: Callable[[], torch.Tensor], device: str) -> float:
    """Seconds of the quickest of a few runs."""
    import torch

    found = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - begin)
    return min(found)
