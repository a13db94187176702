"""Opening models of Hugging Face's ``transformers``: folders, names of the hub, GGUF files, and adapters on them.

A file or folder is read where it is; a name is looked up in the cache first, then on the hub. Code that comes with a
model is never run: what names some is refused, and ``trust_remote_code`` is off everywhere.
"""

from __future__ import annotations

import contextlib
import io
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from asr_lm.errors import InputError
from asr_lm.lm.device import without_memory
from asr_lm.lm.folder import CONFIG_FILE
from asr_lm.lm.precision import Precision, PrecisionChoice, resolve_precision
from asr_lm.lm.pretrained.adapters import with_adapter
from asr_lm.lm.pretrained.code_references import refuse_code
from asr_lm.lm.pretrained.extras import import_extra, import_transformers, read_hub
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel, HuggingFaceMaskedModel, HuggingFaceModel
from asr_lm.lm.pretrained.place import Place
from asr_lm.lm.pretrained.sizes import check_sizes, stored_bytes
from asr_lm.lm.weights_file import refuse_not_finite

_TOKENIZER_FILE = "tokenizer_config.json"

_LARGE = 1 << 30
"""Bytes of weights that take long enough to be shown how far they are read."""

_TRIED = "a trial"
"""A text that every model scores when it is opened."""


def model_type(place: Place) -> str:
    """The type of a model, as ``transformers`` calls it.

    Raises:
        InputError: it cannot be had, or names code.
    """
    return str(_checked_config(place).get("model_type", ""))


def load_huggingface(place: Place, device: str = "cpu", precision: PrecisionChoice = "float32") -> HuggingFaceModel:
    """A model that ``transformers`` reads, with its adapter merged into its weights if there is one.

    Weights are mapped from their file where they are stored as they are held. A model with an adapter is held in
    float32: its weights are sums.

    Args:
        place: where it lies.
        device: where its weights go.
        precision: what they are held, and products computed, in.

    Raises:
        InputError: a library is not installed; the model cannot be had, names code, is neither causal nor masked, lacks
            weights, has some that are not finite, or does not go with its tokeniser or its adapter.
    """
    transformers = import_transformers()
    if place.gguf is not None:
        import_extra("gguf", "GGUF files")
    _checked_config(place)
    config = _read(transformers.AutoConfig.from_pretrained, place)
    masked = _is_masked(config, place.name)
    if place.gguf is None and Path(place.model).is_dir():
        check_sizes(_auto(transformers, masked), config, Path(place.model))
    auto = _auto(transformers, masked)
    held = "float32" if place.adapter is not None else _precision(auto, config, device, precision)
    network = _network(transformers, place, masked, getattr(torch, held))
    if place.adapter is not None:
        network = with_adapter(network, place.adapter, place.name)
    refuse_not_finite(network.state_dict(), place.name)
    tokenizer = _read(transformers.AutoTokenizer.from_pretrained, place)
    return _tried(HuggingFaceMaskedModel if masked else HuggingFaceCausalModel, network.to(device), tokenizer, place)


def _tried(model_class: type[HuggingFaceModel], network: Any, tokenizer: Any, place: Place) -> HuggingFaceModel:
    """The scorer, after it has scored a text: the library makes networks of sizes and ids that fail only then.

    Raises:
        InputError: it cannot, or gives no number.
    """
    try:
        model = model_class(network, tokenizer, place.name)
        score = float(model.log_prob([_TRIED])[0])
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a damaged configuration leads the library to whatever error comes first
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the model cannot score ({reason})", file=place.name) from None
    if math.isnan(score):
        raise InputError("the model cannot score: it gives no number", file=place.name)
    return model


def _checked_config(place: Place) -> dict[str, Any]:
    """The configuration as it is written, after a look at it and at the tokeniser's.

    Raises:
        InputError: one cannot be had, or names code.
    """
    transformers = import_transformers()
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    config: dict[str, Any] = _read(transformers.PreTrainedConfig.get_config_dict, place, code=None)[0]
    refuse_code(config, _shown(place, CONFIG_FILE))
    if place.gguf is None:
        refuse_code(_read(get_tokenizer_config, place, code=None), _shown(place, _TOKENIZER_FILE))
    return config


def _shown(place: Place, file: str) -> str:
    return place.name if place.gguf else f"{place.model}/{file}"


def _precision(auto: Any, config: Any, device: str, asked: PrecisionChoice) -> Precision:
    """What a network of this configuration is to be held in, before any of its weights is read."""
    if asked != "auto":
        return asked
    try:
        with without_memory():
            network = auto.from_config(config)
    except Exception:  # what is wrong is said where the network is made
        return "float32"
    return resolve_precision(asked, network, device)


def _network(transformers: Any, place: Place, masked: bool, dtype: torch.dtype) -> Any:
    """The network, with all its weights.

    Raises:
        InputError: it has not all of them.
    """
    auto = _auto(transformers, masked)
    options: dict[str, Any] = {"dtype": dtype, "output_loading_info": True}
    if place.gguf is not None and hasattr(transformers, "GgufConfig"):
        # Blocks unpacked, so that scores depend on no kernel; releases without this always unpack them.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with _progress(place):
        network, information = _read(auto.from_pretrained, place, **options)
    if missing := sorted(information["missing_keys"]):
        raise InputError(
            f"the model has no weights for {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}, so it cannot "
            f"score as a {'masked' if masked else 'causal'} language model",
            file=place.name,
        )
    return network


@contextlib.contextmanager
def _progress(place: Place) -> Iterator[None]:
    """The library's own progress bar where somebody waits for gigabytes at a terminal, else nothing.

    One of its bars, that of GGUF files, cannot be turned off.
    """
    from transformers.utils import logging

    if stored_bytes(place) < _LARGE or not sys.stderr.isatty():
        with contextlib.redirect_stderr(io.StringIO()):
            yield
        return
    logging.enable_progress_bar()
    try:
        yield
    finally:
        logging.disable_progress_bar()


def _auto(transformers: Any, masked: bool) -> Any:
    return transformers.AutoModelForMaskedLM if masked else transformers.AutoModelForCausalLM


def _is_masked(config: Any, name: str) -> bool:
    """Whether a model is masked rather than causal.

    Raises:
        InputError: it is neither.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"a model of type {config.model_type!r} translates; expected a causal or a masked one", file=name
        )
    heads = " ".join(map(str, config.architectures)) if isinstance(config.architectures, list) else ""
    masked, causal = type(config) in MODEL_FOR_MASKED_LM_MAPPING, type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    if masked and ("MaskedLM" in heads or "PreTraining" in heads):
        return True
    if causal and ("CausalLM" in heads or "LMHead" in heads):
        return False
    if masked == causal:
        raise InputError(
            f"a model of type {config.model_type!r} with {heads or 'no head'} is no causal or masked language model",
            file=name,
        )
    return masked


def _read(read: Callable[..., Any], place: Place, *, code: bool | None = False, **options: Any) -> Any:
    """As :func:`read_hub`, of a place; ``code`` is for readers that know ``trust_remote_code``."""
    if code is not None:
        options["trust_remote_code"] = code
    if place.gguf is not None:
        options["gguf_file"] = place.gguf
    return read_hub(read, place.model, place.name, **options)
