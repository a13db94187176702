"""OpenAI's released GPT-1 (Radford et al. 2018) as it is handed out for Hugging Face's ``transformers``.

A folder holds ``config.json`` (``"model_type": "openai-gpt"``), ``model.safetensors`` or ``pytorch_model.bin``,
``vocab.json`` and ``merges.txt``; a name such as ``openai-community/openai-gpt`` is downloaded first.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.json_files import read_json
from asr_lm.lm.device import resolve_device, without_memory
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Model, Gpt1Network
from asr_lm.lm.folder import CONFIG_FILE
from asr_lm.lm.pretrained.code_references import refuse_code
from asr_lm.lm.pretrained.extras import not_cached
from asr_lm.lm.pretrained.place import is_cached_only
from asr_lm.lm.weights_file import refuse_damaged
from asr_lm.text.gpt1_bpe import Gpt1BpeVocabulary
from asr_lm.text.vocabulary import GPT1_PIECES_FILE, MERGES_FILE

MODEL_TYPE = "openai-gpt"
"""What ``config.json`` says of itself."""

NORMALIZER = "as-is"
"""The vocabulary lower-cases and cuts by itself."""

_SAFE_WEIGHTS = "model.safetensors"
_PICKLED_WEIGHTS = "pytorch_model.bin"

_SIZES = {"vocab_size": "vocabulary_size", "n_layer": "layers", "n_embd": "width", "n_head": "heads"}
_SHARES = {"resid_pdrop": "dropout", "attn_pdrop": "attention_dropout"}

_PARTS = {
    "attn.c_attn": "queries_keys_values",
    "attn.c_proj": "merge",
    "ln_1": "attention_norm",
    "mlp.c_fc": "expand",
    "mlp.c_proj": "contract",
    "ln_2": "norm",
}
"""The released names of a block's parts, and ours."""

_NOT_WEIGHTS = re.compile(r"lm_head\.weight|.*\bposition_ids|h\.\d+\.attn\.bias")
"""The tied output, and buffers that old files hold."""


def load_openai_gpt(place: str | Path, device: str = "cpu") -> Gpt1Model:
    """OpenAI's GPT-1, from a folder or, by its name on the Hugging Face hub, from there.

    Raises:
        InputError: neither folder nor model, no network, a damaged file, or sizes that are not those of a GPT-1.
    """
    device = resolve_device(device)
    folder = Path(place) if Path(place).is_dir() else download_weights(str(place))
    config = _read_config(folder / CONFIG_FILE)
    vocabulary = Gpt1BpeVocabulary.load(folder)
    if vocabulary.size != config.vocabulary_size:
        raise InputError(
            f"expected {config.vocabulary_size} pieces as in {CONFIG_FILE}, found {vocabulary.size}",
            file=folder / GPT1_PIECES_FILE,
        )
    weights = folder / (_SAFE_WEIGHTS if (folder / _SAFE_WEIGHTS).exists() else _PICKLED_WEIGHTS)
    network = _with_weights(config, _renamed(_read_weights(weights)), weights)
    model = Gpt1Model("gpt1", network.to(device), vocabulary, NORMALIZER)
    model.trained_on = "stream"  # contiguous stretches of books
    return model


def download_weights(name: str) -> Path:
    """The folder of a model on the Hugging Face hub; what was downloaded before is not downloaded again.

    Raises:
        InputError: it cannot be had.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(
            "models of the Hugging Face hub need huggingface_hub: pip install 'asr_lm[hf]'", file=name
        ) from None
    files = [CONFIG_FILE, _SAFE_WEIGHTS, GPT1_PIECES_FILE, MERGES_FILE]
    offline = is_cached_only()
    try:
        return Path(snapshot_download(name, allow_patterns=files, local_files_only=offline))
    except Exception as error:  # the hub's client raises those of its HTTP library, too
        if offline:
            raise not_cached(name) from None
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"cannot be downloaded from the Hugging Face hub ({reason}); download {', '.join(files)} where there is "
            "a network, and give their folder",
            file=name,
        ) from None


def _read_config(path: Path) -> Gpt1Config:
    found = read_json(path)
    if not isinstance(found, dict) or found.get("model_type") != MODEL_TYPE:
        raise InputError(f"expected a model of type {MODEL_TYPE}", file=path, field="model_type")
    refuse_code(found, path)
    for name, needed in (("afn", "gelu"), ("layer_norm_epsilon", 1e-5)):
        if found.get(name, needed) != needed:
            raise InputError(f"expected {needed!r} as in GPT-1, not {found[name]!r}", file=path, field=name)
    for name in (*_SIZES, "n_positions"):
        if name not in found:
            raise InputError("missing", file=path, field=name)
    try:
        sizes: dict[str, Any] = {ours: found[theirs] for theirs, ours in _SIZES.items()}
        sizes |= {ours: found.get(theirs, 0.1) for theirs, ours in _SHARES.items()}
        return Gpt1Config(**sizes, positions=found["n_positions"])
    except InputError as error:
        raise InputError(error.message, file=path, field=error.field) from None


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.name == _SAFE_WEIGHTS:
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a strange pickle is the error's to say
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"no weights: expected {_SAFE_WEIGHTS} or {_PICKLED_WEIGHTS}", file=path.parent) from None
    except Exception as error:  # a damaged pickle leads the library to whatever error comes first
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"damaged weights ({reason})", file=path) from None
    if not isinstance(loaded, dict) or not all(isinstance(tensor, Tensor) for tensor in loaded.values()):
        raise InputError("damaged weights: an object of names and tensors was expected", file=path)
    return loaded


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The released tensors under our names; those of linear layers lie transposed in the release."""
    renamed = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("transformer.")
        if _NOT_WEIGHTS.fullmatch(name):
            continue
        ours = {"tokens_embed.weight": "embedding.weight", "positions_embed.weight": "position.weight"}.get(name, name)
        if match := re.fullmatch(r"h\.(\d+)\.(.+)\.(weight|bias)", name):
            ours = f"blocks.{match[1]}.{_PARTS.get(match[2], match[2])}.{match[3]}"
        is_product = match is not None and ".c_" in name and tensor.dim() == 2
        renamed[ours] = tensor.t() if is_product else tensor
    return renamed


def _with_weights(config: Gpt1Config, tensors: Mapping[str, Tensor], path: Path) -> Gpt1Network:
    with without_memory():
        shapes = Gpt1Network(config)
    _check(shapes, tensors, path)  # before memory is asked for
    network = Gpt1Network(config)
    for name, parameter in _parameters(network).items():
        parameter.data.copy_(tensors[name])
    return network


def _parameters(network: Gpt1Network) -> dict[str, Tensor]:
    return {name: value for name, value in network.named_parameters() if value.requires_grad}


def _check(network: Gpt1Network, tensors: Mapping[str, Tensor], path: Path) -> None:
    parameters = _parameters(network)
    if set(tensors) != set(parameters):
        difference = ", ".join(sorted(set(tensors) ^ set(parameters))[:5])
        raise InputError(f"not the weights of this network: {difference} missing or not expected", file=path)
    for name, parameter in parameters.items():
        if tensors[name].shape != parameter.shape:
            found, expected = list(tensors[name].shape), list(parameter.shape)
            raise InputError(f"not the weights of this network: {name} is {found}, not {expected}", file=path)
        refuse_damaged({name: tensors[name]}, path)
