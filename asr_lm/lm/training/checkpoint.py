"""Checkpoints of a training: one safetensors file that replaces the one before.

Tensors hold the weights, the optimiser's moments, the carried state and the random number generators; everything else
is JSON in the file's metadata. There is no pickle, so opening a checkpoint runs no code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.files import atomic_write

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Attributes: tensors by name; ``facts``, anything JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def write(self, path: Path) -> None:
        """Atomically replace ``path``."""
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.tensors.items()}
        with atomic_write(path) as stream:
            stream.write(save(tensors, metadata={"facts": json.dumps(self.facts, allow_nan=False)}))

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Raises: InputError: the file is damaged."""
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                facts = json.loads(file.metadata()["facts"])
        except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise damaged_checkpoint(path, error) from None
        if not isinstance(facts, dict):
            raise damaged_checkpoint(path, "its facts are no JSON object")
        return cls(tensors, facts)


def damaged_checkpoint(path: Path, reason: object) -> InputError:
    """The error that says so."""
    return InputError(f"damaged checkpoint ({reason}); remove it to start afresh", file=path)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments, named ``optimizer.<parameter number>.<moment>``."""
    return {
        f"optimizer.{number}.{name}": value
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` took; ValueError where it does not fit the parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "optimizer":
            number, _, name = rest.partition(".")
            state.setdefault(int(number), {})[name] = value
    first = 0
    for group in optimizer.param_groups:
        last = first + len(group["params"])
        _check_moments({number: state.get(number, {}) for number in range(first, last)}, group["params"])
        first = last
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _check_moments(state: dict[int, dict[str, Tensor]], parameters: list[Tensor]) -> None:
    """All parameters of a group have the same moments, or none; a moment is a number or as large as its parameter."""
    expected = {name for moments in state.values() for name in moments}
    for (number, moments), parameter in zip(state.items(), parameters, strict=True):
        if set(moments) != expected:
            raise ValueError(f"the optimiser's moments of parameter {number} are not complete")
        for name, value in moments.items():
            if value.dim() and value.shape != parameter.shape:
                raise ValueError(f"{name} of parameter {number} is {list(value.shape)}, not {list(parameter.shape)}")
