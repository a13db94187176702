"""Configurations that name code, refused before anything is made of them.

A model of Hugging Face comes with JSON files, and some of their entries name Python code that ``transformers`` or
``peft`` would import: modules beside the weights (``auto_map``), kernels of the hub (``attn_implementation:
OWNER/REPOSITORY``), packages (``megatron_core``). ``trust_remote_code`` is never on here, so most of them would do
nothing; but releases of ``transformers`` before 5.10 ran some of them all the same (CVE-2026-4372, CVE-2026-5241,
CVE-2026-9856), and a model that needs code of its own is another one without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError

_NAMES_CODE = re.compile(
    r".*auto_map|.*remote_code|custom_(code|generate|module|modules|object|objects|pipelines?)|"
    r"(python|import|code|module|class)_(path|file|module|class|ref|reference|name)|megatron_(core|config)|.*kernel_config"
)
"""Entries that name code."""

_IMPLEMENTATION = re.compile(r".*_implementation(_internal)?")
"""Entries that name a way to compute, one of those that come with the library."""

_COMES_WITH_THE_LIBRARY = re.compile(r"[a-z0-9_|]+")

_CODE = re.compile(r".*\.py[cx]?|[\w./-]*--[\w.]+\.\w+|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\.[A-Z]\w*|__import__.*|lambda .*")
"""Values that name code: ``file.py``, ``owner/repository--module.Class``, ``package.module.Class``."""

_TEXTS = frozenset({"_name_or_path", "name_or_path", "base_model_name_or_path", "id2label", "label2id"})
"""Entries that name what is no code, and may look like it."""

_OF_TOKENS = frozenset({"added_tokens_decoder", "extra_special_tokens", "chat_template"})
"""Entries of a tokeniser that hold text."""

_DEFAULTS = {"megatron_core": "megatron.core"}
"""What peft writes into every adapter, and imports only together with ``megatron_config``."""


def refuse_code(config: Any, file: str | Path) -> None:
    """Refuse a configuration that names code.

    Args:
        config: what its JSON holds.
        file: of messages.

    Raises:
        InputError: an entry at any depth names code; it says which.
    """
    for name, key, value in _entries(config, ""):
        if _is_code(key, value):
            raise InputError(
                f"names code ({_shown(value)}), and code that comes with a model is never run", file=file, field=name
            )


def _entries(value: Any, name: str) -> Iterator[tuple[str, str, Any]]:
    """Every entry: its full name, its own key, and its value; items of lists have the key of their list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _TEXTS | _OF_TOKENS:
                full = f"{name}.{key}" if name else str(key)
                yield full, str(key), inner
                yield from _entries(inner, full)
    elif isinstance(value, list):
        for inner in value:
            yield name, name.rpartition(".")[2], inner
            yield from _entries(inner, name)


def _is_code(key: str, value: Any) -> bool:
    if not value or value == _DEFAULTS.get(key):
        return False
    if _NAMES_CODE.fullmatch(key):
        return True
    if _IMPLEMENTATION.fullmatch(key):
        # Models of several parts name one for each.
        named = value.values() if isinstance(value, dict) else [value]
        return not all(_COMES_WITH_THE_LIBRARY.fullmatch(str(one)) for one in named)
    return isinstance(value, str) and bool(_CODE.fullmatch(value))


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
