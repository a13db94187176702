"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm", "sve")
"""What tells how fast products are: names in the list of a processor's features."""


def describe() -> str:
    """Processor, its features, cores and threads, in a line."""
    said = _cpuinfo()
    name = said.get("model name") or platform.processor() or platform.machine()
    found = set((said.get("flags") or said.get("Features") or "").split())
    features = " ".join(feature for feature in FEATURES if feature in found) or "no known features"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name} ({features}), {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
