"""Pieces of GPT-2's byte-level vocabulary as text (Radford et al. 2019): every byte of UTF-8 is written as a letter."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = re.compile(r"<\|.*\|>")


def byte_letters() -> dict[str, int]:
    """The byte of each letter: printable ones of Latin-1 stand for themselves, the others for letters from 256 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = byte_letters()


def text_of(pieces: Iterable[str]) -> str:
    """The text of pieces, without special tokens and with single spaces; bytes that are no UTF-8 are ``�``.

    >>> text_of(["Ġthe", "Ġcaf", "Ã©", "<|endoftext|>"])
    'the café'
    """
    written = (letter for piece in pieces if not _SPECIAL.fullmatch(piece) for letter in piece)
    found = b"".join(
        bytes([_BYTES[letter]]) if letter in _BYTES else letter.encode("utf-8", "replace") for letter in written
    )
    return " ".join(found.decode("utf-8", "replace").split())
