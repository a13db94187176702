"""Half-written files: made beside the file that they will replace, and taken away where a killed run left one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks: what a killed run left stays
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".partial"


def create_partial(target: Path) -> tuple[int, str]:
    """A new empty file ``.NAME.….partial`` beside ``target``, open and locked, and where it is.

    Those that killed runs left of the same name are taken away; whoever is still writing one holds its lock.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    _remove_left_behind(target)
    while True:
        descriptor, path = tempfile.mkstemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
        if fcntl:
            _locked(descriptor)
        if os.path.exists(path):
            return descriptor, path
        # Before it was locked, another run took it for one that was left behind.
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_left_behind(target: Path) -> None:
    if not fcntl:
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(target.parent):
            if name.startswith(f".{target.name}.") and name.endswith(_SUFFIX):
                _remove_unless_locked(target.parent / name)


def _remove_unless_locked(path: Path) -> None:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        if _locked(stream.fileno()):
            path.unlink()
