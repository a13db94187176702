"""The folder of an adapter that was trained here: what ``peft`` writes, and what makes it a model of its own.

``adapter_config.json`` and ``adapter_model.safetensors`` are those of ``peft``. ``config.json`` beside them says where
the model without the adapter lies (:mod:`asr_lm.lm.places`), what its fingerprint was, and between which tokens texts
were read.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from safetensors.torch import save

from asr_lm import __version__
from asr_lm.errors import InputError
from asr_lm.files import atomic_write, write_text
from asr_lm.lm.folder import CONFIG_FILE, HUB, begin, write_config
from asr_lm.lm.places import find_place, places_of
from asr_lm.lm.pretrained.adapters import with_adapter
from asr_lm.lm.pretrained.extras import import_extra
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel
from asr_lm.lm.pretrained.place import ADAPTER_FILE, FAMILY, WEIGHTS_FILES
from asr_lm.lm.weights_file import refuse_not_finite

if TYPE_CHECKING:
    from asr_lm.lm.protocol import Ranker


@dataclass(frozen=True)
class Base:
    """A model that an adapter is for.

    Attributes:
        path: folder, GGUF file, or ``hf:NAME``.
        fingerprint: of the model, read as its tokeniser says.
    """

    path: Path
    fingerprint: str


class _Record(msgspec.Struct):
    """What ``config.json`` says of the model and of how it reads texts."""

    places: list[str]
    fingerprint: str
    begin: str | None = None
    end: str | None = None


def write_adapted(
    folder: Path,
    adapted: Any,
    model: HuggingFaceCausalModel,
    base: Base,
    *,
    half: bool = False,
    training: dict[str, Any] | None = None,
) -> None:
    """Write the folder.

    Args:
        folder: made when missing.
        adapted: the network with its adapter, as ``peft`` wraps it.
        model: the scorer, which reads texts as it did in training.
        base: the model without the adapter.
        half: store float16.
        training: facts to keep in ``config.json``.

    Raises:
        InputError: the folder cannot be written.
    """
    begin(folder)
    learnt = _learnt(adapted, half)
    with atomic_write(folder / WEIGHTS_FILES[0]) as stream:
        stream.write(save(learnt, metadata={"format": "pt"}))
    write_text(folder / ADAPTER_FILE, json.dumps(_peft_config(adapted, base), indent=2, sort_keys=True) + "\n")
    record = _Record(places_of(base.path, folder), base.fingerprint, *model.framed)
    libraries = {name: version(name) for name in ("torch", "transformers", "peft")}
    config = {
        "family": FAMILY,
        "adapted": msgspec.to_builtins(record),
        "normalizer": model.normalizer,
        "parameters": sum(tensor.numel() for tensor in learnt.values()),
        "training": training or {},
        "versions": {"asr_lm": __version__, **libraries, "python": platform.python_version()},
    }
    write_config(folder, config)


def _learnt(adapted: Any, half: bool) -> dict[str, torch.Tensor]:
    """The adapter's weights under the names of ``peft``."""
    peft = import_extra("peft", "adapters")
    found = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    kept = torch.float16 if half else torch.float32
    return {name: tensor.detach().to("cpu", kept).contiguous() for name, tensor in found.items()}


def _peft_config(adapted: Any, base: Base) -> dict[str, Any]:
    """The adapter's configuration as ``peft`` reads it."""
    config = {name: _as_json(value) for name, value in adapted.active_peft_config.to_dict().items()}
    place = str(base.path)
    named = place.removeprefix(HUB) if place.startswith(HUB) else str(base.path.resolve())
    return {**config, "base_model_name_or_path": named, "inference_mode": True}


def _as_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value


def load_adapted(folder: Path, config: dict[str, Any], open_model: Callable[[Path], Ranker]) -> HuggingFaceCausalModel:
    """The model of a folder, its adapter merged into its weights.

    Args:
        folder: from :func:`write_adapted`.
        config: its ``config.json``.
        open_model: opens the model without the adapter.

    Raises:
        InputError: a damaged folder; the model is missing, or not what it was; the adapter does not go with it.
    """
    try:
        record = msgspec.convert(config.get("adapted"), _Record)
    except msgspec.ValidationError as error:
        raise InputError(f"damaged model folder: {error}", file=folder / CONFIG_FILE, field="adapted") from None
    path = find_place(record.places, folder, "the model that this adapter is for")
    model = open_model(path)
    if not isinstance(model, HuggingFaceCausalModel):
        raise InputError(f"expected the causal model of Hugging Face that the adapter {folder} is for", file=path)
    if model.fingerprint() != record.fingerprint:
        raise InputError(f"is no longer the model that the adapter {folder} was trained for", file=path)
    network = with_adapter(model.network, str(folder), str(folder)).eval()
    refuse_not_finite(network.state_dict(), str(folder))
    model.replace_network(network)
    _read_as(model, record, config["normalizer"], folder)
    return model


def _read_as(model: HuggingFaceCausalModel, record: _Record, normalizer: str, folder: Path) -> None:
    """Have a model read texts as it did in training."""
    model.normalizer = normalizer
    try:
        model.frame(record.begin, record.end)
    except InputError as error:
        raise InputError(f"damaged model folder: {error.message}", file=folder / CONFIG_FILE, field="adapted") from None
    model.learnt_frame = True
