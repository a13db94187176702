"""Files that KenLM reads: ARPA text and its own binary, perhaps compressed."""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kenlm

from asr_lm.errors import InputError
from asr_lm.files import read_bytes
from asr_lm.lm.ngrams.arpa import read_arpa, read_counts

BUILD_BINARY = "build_binary"

_BINARY_MAGIC = b"mmap lm http://kheafield.com/code"
# KenLM's lm/binary_format.hh: order, probing multiplier, type, whether words are stored, version, then the counts.
_PARAMETERS = struct.Struct("<B3xfi?3xI")
_PARAMETERS_AT = 88
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_REASON = re.compile(r"threw \w+(?: because `.*?')?\.\s*(.*?)\)?\s*\Z", re.DOTALL)


def read_with_kenlm(path: Path) -> kenlm.Model:
    """The model in an ARPA or KenLM binary file.

    Raises:
        InputError: missing or damaged, of another version of KenLM, or of an order KenLM was not built for. For a
            damaged ARPA file it names the line.
    """
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    is_binary = _is_binary(path)
    with _uncompressed(path) as file:
        try:
            return kenlm.Model(str(file), config)
        except (OSError, UnicodeDecodeError) as error:  # the latter where KenLM's message quotes damaged text
            if not is_binary:
                for _ in read_arpa(path):
                    pass
            raise InputError(f"KenLM cannot read this model: {_reason(error)}", file=path) from None


def stored_ngrams(path: Path) -> tuple[int, ...]:
    """Number of n-grams of order 1, 2, … in an ARPA or KenLM binary file.

    Raises:
        InputError: it is neither.
    """
    if not _is_binary(path):
        return tuple(read_counts(path))
    head = read_bytes(path, 4096)
    order = _PARAMETERS.unpack_from(head, _PARAMETERS_AT)[0]
    return struct.unpack_from(f"<{order}Q", head, _PARAMETERS_AT + _PARAMETERS.size)


def can_build_binary() -> bool:
    """Whether KenLM's ``build_binary`` is on the PATH."""
    return shutil.which(BUILD_BINARY) is not None


def build_binary(arpa: Path, binary: Path) -> None:
    """Write KenLM's binary form (probing hash tables) of an ARPA file.

    Raises:
        InputError: ``build_binary`` failed.
    """
    with tempfile.TemporaryDirectory(prefix=f".{binary.name}.", dir=binary.parent) as folder:
        built = Path(folder, binary.name)
        command = [BUILD_BINARY, "-T", folder + "/", "probing", str(arpa), str(built)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{BUILD_BINARY} failed: {last}", file=arpa)
        built.replace(binary)


def _is_binary(path: Path) -> bool:
    return read_bytes(path, len(_BINARY_MAGIC)) == _BINARY_MAGIC


@contextlib.contextmanager
def _uncompressed(path: Path) -> Iterator[Path]:
    """``path``, or a temporary uncompressed copy of it."""
    with path.open("rb") as stream:
        packed = stream.read(4).startswith(_COMPRESSED)
    if not packed:
        yield path
        return
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(read_bytes(path))
        copy.flush()
        yield Path(copy.name)


def _reason(error: Exception) -> str:
    match = _REASON.search(str(error))
    return " ".join((match[1] if match else str(error)).split())
