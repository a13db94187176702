r"""The fields of a line of an HTK lattice (HTK Book, section 16.2).

``name=value``, the value bare or in quotes. A backslash takes the next character as it is, or stands for a byte with
three octal digits (HTK) or with ``0`` and any number of them (SRILM); the bytes are UTF-8.
"""

from __future__ import annotations

import re

from asr_lm.errors import InputError

_TOKEN = re.compile(
    r"""\s*+(?:([A-Za-z]\w*+)([=~])("(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|(?:[^\s\\]|\\.|\\$)*+)|(\S++)|\Z)"""
)
"""A field, what is none, or blanks up to the end, which would be looked at again and again if they were left."""
_ESCAPE = re.compile(rb"\\(?:(0[0-7]*|[1-7][0-7]{2})|(.))", re.DOTALL)
_LONG = {
    "time": "t", "WORD": "W", "START": "S", "END": "E", "acoustic": "a", "language": "l", "ngram": "n", "var": "v",
    "div": "d", "states": "s",
}  # fmt: skip


def fields_of(line: str) -> tuple[dict[str, str], list[str]]:
    """The fields of a line by short name, and what is none; a ``#`` ends the line.

    Raises:
        InputError: a field comes twice, or is binary.
    """
    fields: dict[str, str] = {}
    strays: list[str] = []
    for name, sign, value, stray in _TOKEN.findall(line):
        if stray.startswith("#") or not (name or stray):
            break
        if stray:
            strays.append(stray)
            continue
        if sign == "~":
            raise InputError("binary fields are not read; write the lattice as text", field=name)
        name = _LONG.get(name, name)
        if name in fields:
            raise InputError("comes twice", field=name)
        fields[name] = value
    return fields, strays


def unquoted(value: str) -> str:
    """A value without its quotes and escapes.

    Raises:
        InputError: escaped bytes that are not UTF-8.
    """
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if "\\" not in value:
        return value
    try:
        return _ESCAPE.sub(_byte, value.encode()).decode()
    except UnicodeDecodeError:
        raise InputError(f"the bytes that {value[:40]!r} stands for are not UTF-8") from None


def _byte(match: re.Match[bytes]) -> bytes:
    # SRILM writes a signed byte, so that of many digits the last eight bits count.
    return bytes([int(match[1], 8) & 255]) if match[1] else match[2]


def quoted(text: str) -> str:
    """A text as the value of a field."""
    if text and not re.search(r"[\s\"'\\=\x00-\x1f\x7f]", text):
        return text
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    # A digit behind an octal number would be read as part of it.
    return (
        '"' + re.sub(r"[\x00-\x1f\x7f]\d*", lambda found: "".join(f"\\{ord(c):03o}" for c in found[0]), escaped) + '"'
    )
