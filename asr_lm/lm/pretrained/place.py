"""Where a model that ``transformers`` reads lies: what follows ``--lm``.

``FOLDER``, ``hf:NAME``, ``FILE.gguf``, ``hf:NAME/FILE.gguf``, or one of them, ``+``, and the folder or ``hf:NAME`` of a
LoRA adapter for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.folder import HUB

FAMILY = "huggingface"
"""What models that ``transformers`` reads are called where a family is asked for."""

ADAPTER_FILE = "adapter_config.json"
"""What ``peft`` writes into the folder of an adapter."""

WEIGHTS_FILES = ("adapter_model.safetensors", "adapter_model.bin")
"""What it writes the weights into, or did."""

_GGUF = ".gguf"
_GGUF_MAGIC = b"GGUF"


_CACHED_ONLY: ContextVar[bool] = ContextVar("cached_only", default=False)


@contextlib.contextmanager
def cached_only() -> Iterator[None]:
    """Within it nothing is downloaded: what names models may come from a stranger, and no folder waits for a network.

    Names of the hub are then found in its cache, or are refused.
    """
    token = _CACHED_ONLY.set(True)
    try:
        yield
    finally:
        _CACHED_ONLY.reset(token)


def is_cached_only() -> bool:
    """Whether it is called within :func:`cached_only`."""
    return _CACHED_ONLY.get()


@dataclass(frozen=True)
class Place:
    """Where a model lies.

    Attributes:
        model: folder, or name on the Hugging Face hub.
        gguf: GGUF file there, if it is one.
        adapter: folder or hub name of a LoRA adapter, if there is one.
        name: what it was called.
    """

    model: str
    gguf: str | None
    adapter: str | None
    name: str

    @classmethod
    def of(cls, name: str) -> Place:
        """The place that a name means; not every place exists."""
        base, adapter = split_adapter(name)
        path = base.removeprefix(HUB)
        folder, _, file = path.rpartition("/")
        is_gguf = path.endswith(_GGUF) if base.startswith(HUB) else Path(path).is_file()
        model, gguf = (folder or ".", file) if is_gguf else (path, None)
        return cls(model, gguf, adapter and adapter.removeprefix(HUB), name)


def split_adapter(name: str) -> tuple[str, str | None]:
    """Base and adapter of ``BASE+ADAPTER``, or the name and None.

    A ``+`` may be part of a path: where the whole name is there it is meant, else two parts that both are.
    """
    if "+" not in name or Path(name).exists():
        return name, None
    parts = name.split("+")
    for cut in range(1, len(parts)):
        base, adapter = "+".join(parts[:cut]), "+".join(parts[cut:])
        if _is_there(base) and _is_there(adapter):
            return base, adapter
    return name, None


def _is_there(name: str) -> bool:
    return name.startswith(HUB) or (bool(name) and Path(name).exists())


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF does."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(len(_GGUF_MAGIC)) == _GGUF_MAGIC
    return False


def refuse_bare_adapter(folder: Path) -> None:
    """Say what is missing where an adapter was given alone.

    Raises:
        InputError: the folder holds an adapter and no model.
    """
    if (folder / ADAPTER_FILE).is_file() and not (folder / "config.json").exists():
        raise InputError("is an adapter without its model; give BASE+ADAPTER", file=folder)
