"""LoRA adapters (Hu et al. 2021, LoRA: low-rank adaptation of large language models), as ``peft`` writes them.

An adapter adds to some weight matrices W a product B A of small rank. It is merged into the weights once, so scoring
takes no longer than with the model alone.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.json_files import read_json
from asr_lm.lm.pretrained.code_references import refuse_code
from asr_lm.lm.pretrained.extras import import_extra, read_hub
from asr_lm.lm.pretrained.place import ADAPTER_FILE, WEIGHTS_FILES


def with_adapter(network: Any, adapter: str, name: str) -> Any:
    """The network with an adapter's matrices added to its own.

    Args:
        network: from an Auto class of ``transformers``.
        adapter: folder, or name on the Hugging Face hub.
        name: of model and adapter, for messages.

    Raises:
        InputError: ``peft`` is not installed; the adapter cannot be had, names code, is of another kind, was made for
            another model or lacks weights.
    """
    peft = import_extra("peft", "adapters")
    folder = _folder(adapter, name)
    config = _config(peft, folder, name)
    config.base_model_name_or_path = None  # where its maker had the model, and what peft would warn of
    weights = read_hub(lambda place, **_: peft.load_peft_weights(place, device="cpu"), str(folder), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the two libraries do with each other
            adapted = peft.get_peft_model(network, config)
            found = peft.set_peft_model_state_dict(adapted, weights)
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the adapter does not go with the model ({reason})", file=name) from None
    _check_complete(found, name)
    return adapted.merge_and_unload()


def _folder(adapter: str, name: str) -> Path:
    """Where the adapter's files are; those of the hub are downloaded."""
    if Path(adapter).is_dir():
        return Path(adapter)
    from huggingface_hub import snapshot_download

    return Path(read_hub(snapshot_download, adapter, name, allow_patterns=[ADAPTER_FILE, *WEIGHTS_FILES]))


def _config(peft: Any, folder: Path, name: str) -> Any:
    """The adapter's configuration.

    Raises:
        InputError: it is missing or damaged, names code, is no LoRA's, or has no weights beside it.
    """
    path = folder / ADAPTER_FILE
    if not path.exists():
        raise InputError(f"no adapter: it has no {ADAPTER_FILE}", file=folder)
    written = read_json(path)
    refuse_code(written, path)
    kind = written.get("peft_type") if isinstance(written, dict) else None
    if kind != "LORA":
        raise InputError(f"expected a LoRA adapter, not {kind!r}", file=path, field="peft_type")
    if not any((folder / weights).is_file() for weights in WEIGHTS_FILES):
        raise InputError(f"the adapter has no weights: expected {' or '.join(WEIGHTS_FILES)}", file=folder)
    return read_hub(lambda place, **_: peft.LoraConfig.from_pretrained(place), str(folder), name)


def _check_complete(found: Any, name: str) -> None:
    """Refuse an adapter that fills only a part of its places, or has weights for places the model lacks."""
    missing = [key for key in found.missing_keys if "lora_" in key or "modules_to_save" in key]
    for keys, what in ((missing, "has no weights for"), (found.unexpected_keys, "has weights for unknown places, as")):
        if keys:
            raise InputError(f"the adapter {what} {', '.join(sorted(keys)[:3])}", file=name)
