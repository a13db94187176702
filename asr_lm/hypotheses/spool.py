"""Input that can be read only once, kept in a temporary file so that it can be read again."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import STDIN, display_name


@contextlib.contextmanager
def rereadable(path: str | Path) -> Iterator[Path]:
    """A path with the content of ``path`` that can be opened any number of times within the ``with`` block.

    Files and folders are given as they are. Standard input (``-``), pipes and devices are copied to a temporary file
    of the same bytes, which goes at the end; an :class:`InputError` about it that leaves the block is renamed to what
    the user gave.

    Raises:
        InputError: the input cannot be read or the temporary file not be written.
    """
    path = Path(path)
    if str(path) != STDIN and (path.is_file() or path.is_dir() or not path.exists()):
        yield path
        return
    name = display_name(path)
    with tempfile.TemporaryDirectory(prefix="asr_lm.") as folder:
        copy = Path(folder, "stdin")
        try:
            _copy(path, copy)
        except OSError as error:
            raise InputError(f"cannot be spooled to {folder} ({error.strerror or error})", file=name) from error
        try:
            yield copy
        except InputError as error:
            if error.file == str(copy):
                error.file = name
            raise


def _copy(source: Path, target: Path) -> None:
    with target.open("wb") as spooled:
        if str(source) == STDIN:
            if sys.stdin is None or sys.stdin.buffer.closed:
                raise OSError("standard input is closed")
            shutil.copyfileobj(sys.stdin.buffer, spooled)
        else:
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, spooled)
