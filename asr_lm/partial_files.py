"""Half-written files and folders: made beside what they will become, and taken away where a killed run left one.

Whoever writes one holds a lock on it, so what can be locked was left behind. What this process makes is known by name
before it is there: an interrupt may come between any two steps, and :func:`remove_unfinished` finds all of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks: what a killed run left stays
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".partial"

_UNFINISHED: set[tuple[int, str]] = set()
"""What was made and is not taken away yet, by the process that made it: a forked one has the set of its parent."""


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[tuple[int, str]]:
    """A new empty file ``.NAME.….partial`` beside ``target``, open and locked, and where it is; it goes at the end.

    Those that killed runs left of the same name are taken away; whoever is still writing one holds its lock. Who is
    given the descriptor closes it.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    descriptor, path = _created(target, _make_file)
    try:
        yield descriptor, path
    finally:
        _take_away(path)


@contextlib.contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """The same, a folder, which goes at the end with all that is in it.

    Raises:
        OSError: the folder above does not exist or cannot be written.
    """
    descriptor, path = _created(target, _make_folder)
    try:
        yield Path(path)
    finally:
        _take_away(path)
        os.close(descriptor)


def remove_unfinished() -> None:
    """Take away all that this process has made and not finished: for its end after an interrupt."""
    for process, path in sorted(_UNFINISHED):
        if process == os.getpid():
            with contextlib.suppress(OSError):
                _take_away(path)


def _take_away(path: str) -> None:
    """Remove what this process has made, if it is there, and then forget it."""
    _remove(Path(path))
    _UNFINISHED.discard((os.getpid(), path))


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _make_file(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _make_folder(path: str) -> int:
    os.mkdir(path, 0o700)
    return os.open(path, os.O_RDONLY)


def _created(target: Path, make: Callable[[str], int]) -> tuple[int, str]:
    _remove_left_behind(target)
    while True:
        path = str(target.parent / f".{target.name}.{secrets.token_hex(4)}{_SUFFIX}")
        mine = (os.getpid(), path)
        _UNFINISHED.add(mine)
        try:
            descriptor = make(path)
        except FileExistsError:  # another's
            _UNFINISHED.discard(mine)
            continue
        except OSError:
            _take_away(path)
            raise
        if _locked(descriptor, without_locks=True) and os.path.exists(path):
            return descriptor, path
        # Before it was locked, another run took it for one that was left behind.
        os.close(descriptor)
        _UNFINISHED.discard(mine)


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
                _remove(path)
        finally:
            os.close(descriptor)
