"""The weights of a network in a safetensors file, checked before memory is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.files import atomic_write
from asr_lm.lm.output.layer import OutputLayer

WEIGHTS_FILE = "model.safetensors"
LARGEST = 1e9
"""Weights of networks stay below some hundreds; with values far beyond, sums overflow and scores are no numbers."""


def write_weights(path: Path, network: nn.Module, *, half: bool = False) -> None:
    """Write the parameters as safetensors; a tied weight is stored once."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        tensor = parameter.detach().cpu()
        tensors[name] = (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
    with atomic_write(path) as stream:
        stream.write(save(tensors))


def check_shapes(path: Path, network: nn.Module) -> None:
    """Refuse a file whose tensors are not those of a network, from its header alone.

    Args:
        path: what :func:`write_weights` wrote.
        network: may lie on torch's ``meta`` device, where a network has shapes and takes no memory.

    Raises:
        InputError: missing or damaged, or the names or shapes are not those of this network.
    """
    with _reading(path), safetensors.safe_open(path, framework="pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    parameters = dict(network.named_parameters())
    if set(found) != set(parameters):
        difference = ", ".join(sorted(set(found) ^ set(parameters)))
        raise InputError(f"weights do not belong to this network: {difference} missing or not expected", file=path)
    for name, parameter in parameters.items():
        _check_shape(name, found[name], list(parameter.shape), path)


def read_weights(path: Path, network: nn.Module) -> None:
    """Load what :func:`write_weights` wrote.

    Raises:
        InputError: missing or damaged, or the tensors are not those of this network.
    """
    check_shapes(path, network)
    with _reading(path):
        tensors = load_file(path)
    for name, parameter in network.named_parameters():
        _check_values(name, tensors[name], parameter, path)
        parameter.data.copy_(tensors[name])
    for name, module in network.named_modules():
        if isinstance(module, OutputLayer):
            _check_output(name, module, path)


def refuse_not_finite(tensors: dict[str, Tensor], file: object) -> None:
    """Raises: InputError: a tensor holds NaN or an infinity."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"damaged weights: {name} has values that are not finite", file=file)


def refuse_damaged(tensors: dict[str, Tensor], file: object) -> None:
    """Raises: InputError: a tensor holds NaN, an infinity, or values beyond :data:`LARGEST`."""
    refuse_not_finite(tensors, file)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() and tensor.abs().max() > LARGEST:
            raise InputError(f"damaged weights: {name} has values beyond {LARGEST:g}", file=file)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"damaged weights ({error})", file=path) from None


def _check_shape(name: str, found: Sequence[int], expected: Sequence[int], path: Path) -> None:
    if list(found) != list(expected):
        raise InputError(f"weights do not belong to this network: {name} is {found}, not {expected}", file=path)


def _check_values(name: str, tensor: Tensor, parameter: Tensor, path: Path) -> None:
    if tensor.is_floating_point() != parameter.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise InputError(f"weights do not belong to this network: {name} is {kind}", file=path)
    refuse_damaged({name: tensor}, path)


def _check_output(name: str, output: OutputLayer, path: Path) -> None:
    try:
        output.check()
    except InputError as error:
        raise InputError(f"damaged weights: {name}.{error.field}: {error.message}", file=path) from None
