"""Half-written files and folders: made beside what they will become, and taken away where a killed run left one.

Whoever writes one holds a lock on it, so what can be locked was left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
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
    return _created(target, lambda **names: tempfile.mkstemp(**names))


@contextlib.contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """The same, a folder, which goes at the end with all that is in it.

    Raises:
        OSError: the folder above does not exist or cannot be written.
    """
    descriptor, folder = _created(target, _make_folder)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make_folder(prefix: str, suffix: str, dir: Path) -> tuple[int, str]:
    folder = tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=dir)
    return os.open(folder, os.O_RDONLY), folder


def _created(target: Path, make: Callable[..., tuple[int, str]]) -> tuple[int, str]:
    _remove_left_behind(target)
    while True:
        descriptor, path = make(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
        if _locked(descriptor, without_locks=True) and os.path.exists(path):
            return descriptor, path
        # Before it was locked, another run took it for one that was left behind.
        os.close(descriptor)


def _locked(descriptor: int, *, without_locks: bool) -> bool:
    """Whether nobody else holds the lock; ``without_locks`` where there are none."""
    if not fcntl:
        return without_locks
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return without_locks
    return True


def _remove_left_behind(target: Path) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(target.parent):
            if name.startswith(f".{target.name}.") and name.endswith(_SUFFIX):
                _remove_unless_locked(target.parent / name)


def _remove_unless_locked(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _locked(descriptor, without_locks=False):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        finally:
            os.close(descriptor)
