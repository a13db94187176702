"""Big files over HTTP: resumed where they stopped, from whichever mirror answers, checked by size and checksum.

What has come lies in ``NAME.part`` and becomes ``NAME`` when it is whole and its checksum is right, so that a file
under its own name is always a good one.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from asr_lm.errors import InputError
from asr_lm.files import make_folder

Report = Callable[[int, int], None]
"""Told how many bytes of how many are done."""

_BLOCK = 1 << 20
_TIMEOUT = 60.0
_PATIENCE = 3
_PAUSE = 1.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """A published file.

    Attributes:
        place: where it lies below a mirror's address.
        size: bytes.
        checksum: ``sha256:…`` or ``md5:…``, in hexadecimal digits.
    """

    place: str
    size: int
    checksum: str

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.place.rpartition("/")[2]


class _Refused(Exception):
    """A mirror does not give the file; the message says why."""


def no_report(done: int, total: int) -> None:
    """Nobody wants to know."""


def partial_path(remote: Remote, folder: Path) -> Path:
    """Where the beginning of a file waits for the rest."""
    return folder / f"{remote.name}.part"


def missing_bytes(remote: Remote, folder: Path) -> int:
    """How many bytes have still to come."""
    if (folder / remote.name).exists():
        return 0
    return max(0, remote.size - _size(partial_path(remote, folder)))


def require_space(folder: Path, wanted: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        InputError: fewer than ``wanted`` bytes are free.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < wanted:
        raise InputError(f"{wanted / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free", file=folder)


def download(remote: Remote, folder: Path, mirrors: Sequence[str], report: Report = no_report) -> Path:
    """Fetch a file, or the rest of it; what lies in the folder under its name is taken as it is.

    Args:
        mirrors: addresses to which the file's place is added, tried in this order.

    Raises:
        InputError: no mirror gives the file, the disk is too small, or what came is not the published file.
    """
    path, part = folder / remote.name, partial_path(remote, folder)
    if path.exists():
        return path
    make_folder(folder)
    require_space(folder, missing_bytes(remote, folder))
    reasons = []
    for mirror in mirrors:
        try:
            _fetch(f"{mirror.rstrip('/')}/{remote.place}", part, remote.size, report)
            break
        except _Refused as refused:
            reasons.append(f"{mirror}: {refused}")
    else:
        kept = f"; {_size(part):,} of {remote.size:,} bytes are kept in {part}" if _size(part) else ""
        if not kept:
            part.unlink()
        raise InputError(f"could not be downloaded ({'; '.join(reasons)}){kept}", file=remote.name)
    try:
        verify(part, remote)
    except InputError as error:
        part.unlink()
        raise InputError(f"{error.message}; it is removed, start again", file=part) from None
    part.replace(path)
    return path


def verify(path: Path, remote: Remote, report: Report = no_report) -> None:
    """Compare a file's size and checksum with what is published.

    Raises:
        InputError: they differ.
    """
    if (size := _size(path)) != remote.size:
        raise InputError(f"has {size:,} bytes, and the published file has {remote.size:,}", file=path)
    algorithm, _, published = remote.checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            report(stream.tell(), size)
    if digest.hexdigest() != published:
        message = f"not the published file: its {algorithm.upper()} is {digest.hexdigest()}, expected {published}"
        raise InputError(message, file=path)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch(url: str, part: Path, size: int, report: Report) -> None:
    """Append to ``part`` what it lacks; a connection that breaks off is taken up again as long as something comes."""
    with open(part, "ab") as file:
        _lock(file, part)
        idle = 0
        while (have := _end(file, size)) < size:
            with _answer(url, have) as response:
                _append(response, file, have, size, report)
            if file.tell() > have:
                idle = 0
            elif (idle := idle + 1) == _PATIENCE:
                raise _Refused("the connection breaks off")
            if file.tell() < size:
                time.sleep(_PAUSE)


def _lock(file: BinaryIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError("is being downloaded by another process", file=part) from None
    except OSError:
        return  # Some network file systems have no locks.


def _end(file: BinaryIO, size: int) -> int:
    """How much of the file is there; more than all of it is nothing."""
    if file.seek(0, os.SEEK_END) > size:
        file.truncate(0)
    return file.seek(0, os.SEEK_END)


def _answer(url: str, have: int) -> Any:
    headers = {"User-Agent": "asr_lm", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        raise _Refused(f"answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Refused(str(getattr(error, "reason", error) or type(error).__name__)) from None


def _append(response: Any, file: BinaryIO, have: int, size: int, report: Report) -> None:
    """Write what a server sends, if that is the rest of the file or all of it."""
    begin, total = _stretch(response)
    if total not in (None, size):
        raise _Refused(f"has a file of {total:,} bytes, and the published one has {size:,}")
    if begin not in (0, have):
        raise _Refused(f"sends the file from byte {begin:,} on, asked for byte {have:,}")
    if begin < have:
        file.truncate(0)  # A server that cannot resume sends everything again.
    while block := _received(response):
        if file.seek(0, os.SEEK_END) + len(block) > size:
            file.truncate(0)
            raise _Refused(f"sends more than the {size:,} bytes of the published file")
        try:
            file.write(block)
            file.flush()
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", file=file.name) from None
        report(file.tell(), size)


def _received(response: Any) -> bytes:
    """What comes next; nothing where the connection breaks off, and the rest is asked for again."""
    try:
        return bytes(response.read1(_BLOCK))
    except (OSError, http.client.HTTPException):
        return b""


def _stretch(response: Any) -> tuple[int, int | None]:
    """Where in the file an answer begins, and how long the file is, where the server says."""
    if response.status == http.client.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not found:
            raise _Refused("sends a part of the file and does not say which")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and length.isdigit() else None
