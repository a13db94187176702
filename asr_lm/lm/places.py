"""How a folder says where a model lies that it is not whole without.

A model under the folder is named by its path within; another one by its path from the folder and by its absolute path,
so that both can be moved together; one of the Hugging Face hub by its name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.folder import HUB

_OPENING: ContextVar[frozenset[Path]] = ContextVar("opening", default=frozenset())


def places_of(path: Path, folder: Path) -> list[str]:
    """What a folder writes down of a model.

    Args:
        path: where the model lies, or its name on the hub with ``hf:`` before it.
        folder: that names it.
    """
    if str(path).startswith(HUB):
        return [str(path)]
    absolute = path.resolve()
    relative = os.path.relpath(absolute, folder.resolve())
    return [relative] if absolute.is_relative_to(folder.resolve()) else [relative, str(absolute)]


def find_place(places: Sequence[str], folder: Path, what: str) -> Path:
    """The first of the places where there is something.

    Args:
        places: from :func:`places_of`.
        folder: that names them.
        what: what should be there, for messages.

    Raises:
        InputError: nothing is there.
    """
    for place in places:
        if place.startswith(HUB):
            return Path(place)
        # A name that is too long for the file system raises OSError.
        with contextlib.suppress(OSError):
            if (folder / place).exists():
                return folder / place
    expected = " or ".join(places) or "nowhere"
    raise InputError(f"{what} is missing: expected {expected}", file=folder)


@contextlib.contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Within it the models that a folder names are opened.

    Raises:
        InputError: one of them names the folder in its turn.
    """
    known, resolved = _OPENING.get(), folder.resolve()
    if resolved in known:
        raise InputError("damaged model folder: it names itself as a part of it", file=folder)
    token = _OPENING.set(known | {resolved})
    try:
        yield
    finally:
        _OPENING.reset(token)
