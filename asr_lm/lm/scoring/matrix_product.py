"""Matrix products of scoring on a CPU.

torch multiplies float32 matrices with MKL, which on processors that Intel did not make is slower than oneDNN, the
other library that comes with it (140 against 190 GFLOP/s for ``[640, 512] x [512, 5000]`` on two cores of an AMD EPYC).
torch offers oneDNN's product to its compiler only, so it is asked for here by its name there, and ``linear`` is used
where there is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from asr_lm.lm.precision import Precision

_PRECISION: ContextVar[Precision] = ContextVar("precision", default="float32")


@contextlib.contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Within, :func:`linear` rounds what it multiplies to a precision; sums and results are float32 all the same."""
    token = _PRECISION.set(precision)
    try:
        yield
    finally:
        _PRECISION.reset(token)


def rounds() -> bool:
    """Whether products are in bfloat16 now."""
    return _PRECISION.get() == "bfloat16"


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> Tensor:
    """``rows [n, in] · weight [out, in]ᵀ + bias [out]``, a fresh ``[n, out]`` without gradient.

    With ``gelu`` its GELU in the tanh form, which oneDNN takes while the product is still in the cache.
    """
    if rounds():
        half = rows.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16()
        rounded = nn.functional.linear(*half).float()
        return nn.functional.gelu(rounded, approximate="tanh") if gelu else rounded
    if rows.device.type == "cpu" and rows.dtype == torch.float32 and _HAS_ONEDNN:
        activation, algorithm = ("gelu", "tanh") if gelu else ("none", "")
        activated: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, activation, [], algorithm)
        return activated
    product = nn.functional.linear(rows, weight, bias)
    return nn.functional.gelu(product, approximate="tanh") if gelu else product


def _has_onednn() -> bool:
    """Whether this torch has the product, and computes with it what it should."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        rows, weight, bias = torch.eye(2), torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])
        found = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return found.tolist() == [[4.0], [5.0]]


_HAS_ONEDNN = _has_onednn()
