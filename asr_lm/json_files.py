"""Small JSON files that may come from strangers: configurations, vocabularies, adapters.

One gate for all of them: the size and the depth are limited before anything is made of the content, and text that no
file can hold as UTF-8 is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError
from asr_lm.files import display_name, read_bytes

MOST_BYTES = 1 << 27
"""Largest file, unpacked; vocabularies of large models take some ten megabytes."""

MOST_DEPTH = 64
"""Objects and lists within each other; configurations have fewer than ten."""


def read_json(path: str | Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it cannot be read, is larger than :data:`MOST_BYTES`, is not UTF-8, is malformed, is nested deeper
            than :data:`MOST_DEPTH`, or holds half of a surrogate pair.
    """
    file, data = display_name(path), small_file(path)
    try:
        value = json.loads(data.decode("utf-8"))
        # Python reads half of a surrogate pair, which then cannot be written, nor name a file.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not readable as JSON (not UTF-8: {error.reason})", file=file, line=line) from None
    except UnicodeEncodeError:
        raise InputError("not readable as JSON (half of a surrogate pair)", file=file) from None
    except RecursionError:
        raise _too_deep(file) from None
    except ValueError as error:
        raise InputError(f"not readable as JSON ({error})", file=file) from None
    if _is_deeper(value, MOST_DEPTH):
        raise _too_deep(file)
    return value


def small_file(path: str | Path) -> bytes:
    """The bytes of a file that is to be read as JSON.

    Raises:
        InputError: it cannot be read, or is larger than :data:`MOST_BYTES`.
    """
    data = read_bytes(path, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"not readable as JSON (more than {MOST_BYTES:,} bytes)", file=display_name(path))
    return data


def _too_deep(file: str) -> InputError:
    return InputError(f"not readable as JSON (nested deeper than {MOST_DEPTH} levels)", file=file)


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether objects and lists lie within each other more than ``depth`` times, found without recursion."""
    level = [value]
    for _ in range(depth):
        entries = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [entry for inner in entries for entry in inner if isinstance(entry, dict | list)] if level else []
    return bool(level)
