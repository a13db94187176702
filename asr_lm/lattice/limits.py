"""How large a lattice may be: checked while a file is read, before memory for more is asked for."""

from __future__ import annotations

from asr_lm.errors import InputError

MAX_ARCS = 2_000_000
"""Arcs of one lattice unless a reader is told otherwise; they take up to 2 GB while they are read."""

MAX_LINE = 1 << 24
"""Bytes of a line in a text archive."""


def check_arcs(count: int, most: int) -> None:
    """Refuse a lattice of more than ``most`` arcs.

    Raises:
        InputError: ``count`` is above ``most``.
    """
    if count > most:
        raise InputError(f"more than {most:,} arcs in one lattice; allow more if that is right", parameter="max_arcs")
