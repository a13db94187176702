"""Where a network computes."""

from __future__ import annotations

import torch

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
