"""Where a network computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asr_lm.errors import InputError


def resolve_device(name: str) -> str:
    """The device called ``name``; ``auto`` is a GPU where there is one.

    Raises:
        InputError: a GPU was asked for and there is none, or no device that models run on is called so.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda", "mps"):
        raise InputError(f"unknown device {name!r}; expected cpu, cuda, mps or auto", parameter="device")
    if not {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]:
        raise InputError(f"no device of the kind {kind} that torch can use was found; give cpu", parameter="device")
    return name


_DRAWS = ("normal_", "uniform_", "trunc_normal_")


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Modules made inside have shapes and take no memory (torch's device "meta").

    No random initial values are drawn for them: nobody reads any, and torch imports its compiler to leave a normal
    distribution undrawn, which took three quarters of the loading of a small model.
    """
    with torch.device("meta"), _NoDraws():
        yield


class _NoDraws(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else given["tensor"]  # a method's own tensor, or torch.nn.init's argument
        return func(*args, **given)


def draw_orthogonal(matrix: Tensor, gain: float = 1.0) -> None:
    """Initial values as of ``torch.nn.init.orthogonal_``; none where there is no memory for them."""
    if not matrix.is_meta:
        nn.init.orthogonal_(matrix, gain)
