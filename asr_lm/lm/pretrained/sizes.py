"""The sizes of a configuration of ``transformers``, compared with the weights in its folder before memory is asked for.

The library makes what a file lacks, of whatever size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.lm.device import without_memory
from asr_lm.lm.folder import CONFIG_FILE
from asr_lm.lm.pretrained.place import Place

_WEIGHTS = ("*.safetensors", "*.bin")
_PACKED = 8
"""Weights in a byte, at most: those of quantised models take two bits or more, and some are shared."""

_SMALL = 1 << 24
"""Weights that nobody minds."""

_MOST_LAYERS = 1000


def check_sizes(auto: Any, config: Any, folder: Path) -> None:
    """Refuse a configuration with far more weights than its folder holds.

    Args:
        auto: class of ``transformers`` that makes the network.
        config: of the network.
        folder: where its weights lie.

    Raises:
        InputError: there are more, or no network can be made of it.
    """
    file = folder / CONFIG_FILE
    for name, value in _numbers(config.to_dict()):
        if "layer" in name and value > _MOST_LAYERS:
            message = f"the layers of this configuration are more than {_MOST_LAYERS:,}"
            raise InputError(message, file=file, field=name)
    held = _bytes_in(folder)
    try:
        with without_memory():
            network = auto.from_config(config)
    except Exception as error:  # a damaged configuration leads the library to whatever error comes first
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"no network can be made of this ({reason})", file=file) from None
    if sum(tensor.numel() for tensor in network.parameters()) > _PACKED * held + _SMALL:
        raise InputError(f"the weights of this configuration are more than {held:,} bytes can hold", file=file)


def stored_bytes(place: Place) -> int:
    """Bytes of a model's weights on this disk; 0 for one of the hub."""
    if place.gguf is not None:
        file = Path(place.model) / place.gguf
        return file.stat().st_size if file.is_file() else 0
    return _bytes_in(Path(place.model))


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for pattern in _WEIGHTS for path in folder.glob(pattern) if path.is_file())


def _numbers(values: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif type(value) is int:
            yield str(name), value
