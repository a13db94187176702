"""Recognisers of Hugging Face's ``transformers``: ``hf:NAME``, ``hf:FOLDER``, or a folder alone.

Encoder-decoder models are searched by themselves (:mod:`.huggingface_model`), CTC models through their emissions
(:mod:`.huggingface_ctc`). A name is looked up in the cache first, then on the hub. Code that comes with a model is
never run: what names some is refused, and ``trust_remote_code`` is off everywhere.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_lm.acoustic.decoder import Recogniser, RecogniserKind
from asr_lm.acoustic.options import DecodingOptions
from asr_lm.acoustic.sequences.huggingface_ctc import HuggingFaceCtc, ctc_recogniser
from asr_lm.acoustic.sequences.huggingface_model import TYPES, SpeechSequenceModel
from asr_lm.acoustic.sequences.recogniser import SequenceRecogniser
from asr_lm.acoustic.tokens import TOKENS_FILE
from asr_lm.errors import InputError
from asr_lm.json_files import read_json
from asr_lm.lm.folder import CONFIG_FILE, HUB
from asr_lm.lm.pretrained.code_references import refuse_code
from asr_lm.lm.pretrained.extras import import_transformers, read_hub
from asr_lm.lm.weights_file import refuse_not_finite

_MAY_BE_MISSING = "masked_spec_embed"
"""What only training needs, and what many models are published without."""


def open_huggingface(name: str, device: str) -> Recogniser:
    """A recogniser that ``transformers`` reads, after it has listened to a second of noise.

    Raises:
        InputError: the library is not installed; the model cannot be had, names code, is no recogniser of these kinds,
            lacks weights, has some that are not finite, or does not go with its tokeniser.
    """
    transformers = import_transformers("recognisers of Hugging Face", "model")
    place = name.removeprefix(HUB)
    _refuse_code(transformers, place, name)
    config = _read(transformers.AutoConfig.from_pretrained, place, name)
    is_ctc = _is_ctc(config, name)
    auto = transformers.AutoModelForCTC if is_ctc else transformers.AutoModelForSpeechSeq2Seq
    network = _network(auto, place, name).to(device)
    extractor = _read(transformers.AutoFeatureExtractor.from_pretrained, place, name)
    tokenizer = _read(transformers.AutoTokenizer.from_pretrained, place, name)
    return _tried(name, (_ctc if is_ctc else _sequences), network, extractor, tokenizer)


def _sequences(name: str, network: Any, extractor: Any, tokenizer: Any) -> Recogniser:
    model = SpeechSequenceModel(network, extractor, tokenizer)
    encoded = model.encoded(_noise(model.sample_rate))
    prompt = model.prompt(encoded, DecodingOptions())
    if not np.isfinite(model.log_probs(encoded, prompt, [[0]])[0]):
        raise InputError("it gives no number")
    return SequenceRecogniser(name, model)


def _ctc(name: str, network: Any, extractor: Any, tokenizer: Any) -> Recogniser:
    recogniser = ctc_recogniser(name, HuggingFaceCtc(network, extractor), tokenizer)
    recogniser.emissions(_noise(recogniser.sample_rate))
    return recogniser


def _noise(sample_rate: int) -> Any:
    return np.random.default_rng(0).normal(0.0, 0.1, sample_rate).astype(np.float32)


def _tried(name: str, make: Callable[..., Recogniser], *parts: Any) -> Recogniser:
    """The recogniser, tried out: the library makes models of sizes and ids that fail only when they are used."""
    try:
        return make(name, *parts)
    except torch.OutOfMemoryError:
        raise
    except InputError as error:
        raise error.located(file=name) from error
    except Exception as error:  # a damaged configuration leads the library to whatever error comes first
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the model cannot recognise ({reason})", file=name) from None


def _refuse_code(transformers: Any, place: str, name: str) -> None:
    """Refuse a model of which a configuration names code."""
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    readers = {
        CONFIG_FILE: transformers.PreTrainedConfig.get_config_dict,
        "preprocessor_config.json": transformers.FeatureExtractionMixin.get_feature_extractor_dict,
        "tokenizer_config.json": get_tokenizer_config,
    }
    for file, read in readers.items():
        found = read_hub(read, place, name)
        refuse_code(found[0] if isinstance(found, tuple) else found, f"{name}/{file}")


def _read(read: Callable[..., Any], place: str, name: str, **options: Any) -> Any:
    return read_hub(read, place, name, trust_remote_code=False, **options)


def _is_ctc(config: Any, name: str) -> bool:
    """Whether a model gives emissions rather than writing.

    Raises:
        InputError: it does neither, or needs more than a prompt.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING

    if config.model_type in TYPES:
        return False
    heads = " ".join(map(str, config.architectures or []))
    if type(config) in MODEL_FOR_CTC_MAPPING and "ForCTC" in heads:
        return True
    raise InputError(
        f"a model of type {config.model_type!r} with {heads or 'no head'} is no recogniser that is read here: expected "
        f"a CTC model (Wav2Vec2ForCTC, HubertForCTC, …) or one of type {', '.join(TYPES)}",
        file=name,
    )


def _network(auto: Any, place: str, name: str) -> Any:
    """The network, with all its weights."""
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that cannot be turned off
        network, information = _read(auto.from_pretrained, place, name, dtype=torch.float32, output_loading_info=True)
    missing = sorted(each for each in information["missing_keys"] if not each.endswith(_MAY_BE_MISSING))
    if missing:
        listed = f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}"
        raise InputError(f"the model has no weights for {listed}, so it cannot recognise", file=name)
    refuse_not_finite(network.state_dict(), name)
    if (generation := getattr(network, "generation_config", None)) is not None:
        refuse_code(generation.to_dict(), f"{name}/generation_config.json")
    return network


def is_huggingface(name: str) -> bool:
    """Whether a name is of the hub, or a folder that ``transformers`` wrote."""
    if name.startswith(HUB):
        return True
    folder = Path(name)
    if not (folder / CONFIG_FILE).is_file() or (folder / TOKENS_FILE).exists():
        return False
    with contextlib.suppress(InputError):
        config = read_json(folder / CONFIG_FILE)
        return isinstance(config, dict) and "model_type" in config
    return False


KIND = RecogniserKind("hf:NAME or hf:FOLDER, a model of transformers", list, is_huggingface, open_huggingface)
