"""Opening files whatever their compression, and replacing them atomically."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import zstandard

from asr_lm.errors import InputError
from asr_lm.limits import BLANK, LINE, WHOLE
from asr_lm.partial_files import partial_file

STDIN = "-"

DAMAGE = (EOFError, OSError, zlib.error, zstandard.ZstdError)
"""What reading a damaged or packed file raises."""
_PACKED_CHUNK = 2 * 1024
"""Packed bytes at a time: each four may be a block of 128 KiB, so that these unpack to 64 MiB at most."""
_BLOCK = 2**20


def display_name(path: str | Path) -> str:
    """What an error message calls ``path``."""
    return "<stdin>" if str(path) == STDIN else str(path)


def open_binary(path: str | Path) -> BinaryIO:
    """Open ``path`` for reading bytes; ``-`` is standard input, ``.gz`` and ``.zst`` are decompressed.

    Compression is recognised by the file's first bytes, so a wrong suffix does no harm.

    Raises:
        InputError: the file does not exist or cannot be read, or standard input was read before.
    """
    try:
        return decompressed(_standard_input() if str(path) == STDIN else cast(BinaryIO, open(path, "rb")))
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("is a folder, a file was expected", file=display_name(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=display_name(path)) from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.buffer.closed:
        raise InputError("standard input is closed: it can be read only once", file=display_name(STDIN))
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer)))


def decompressed(stream: BinaryIO) -> BinaryIO:
    """What a buffered stream holds, whether it is packed or not; its first bytes say it."""
    try:
        magic = cast(io.BufferedReader, stream).peek(4)[:4]
    except OSError:
        stream.close()
        raise
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, _GzipReader(stream))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, io.BufferedReader(_ZstdReader(stream)))
    return stream


class _GzipReader(gzip.GzipFile):
    """A gzip stream that closes the packed one with itself, which ``gzip.GzipFile`` leaves open."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        super().__init__(fileobj=packed, mode="rb")

    def close(self) -> None:
        super().close()
        self._packed.close()


class _ZstdReader(io.RawIOBase):
    """Decompressed bytes of a Zstandard stream; raises EOFError where the last frame is cut off.

    ``zstandard.ZstdDecompressor.stream_reader`` ends such a stream without a word, and a list would lose its tail.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._chunks = self._decompress()
        self._rest = memoryview(b"")

    def _decompress(self) -> Iterator[bytes]:
        complete = True
        while chunk := self._packed.read(_PACKED_CHUNK):
            while chunk:
                if complete:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(chunk)
                complete, chunk = frame.eof, frame.unused_data if frame.eof else b""
        if not complete:
            raise EOFError("the compressed stream ends early")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._packed.close()
        super().close()


def read_bytes(path: str | Path, limit: int = -1) -> bytes:
    """All bytes of a file, decompressed, or the first ``limit`` of them.

    Raises:
        InputError: the file cannot be opened, its compressed stream is damaged, or there is more to read than
            :data:`asr_lm.limits.WHOLE`.
    """
    most, found = WHOLE.bytes(), io.BytesIO()
    for block in iterate_blocks(path, _BLOCK if limit < 0 else max(min(limit, _BLOCK), 1)):
        found.write(block if limit < 0 else block[: limit - found.tell()])
        if found.tell() > most:
            raise WHOLE.exceeded(display_name(path))
        if found.tell() == limit:
            break
    return found.getvalue()  # without a copy


def iterate_blocks(path: str | Path, size: int) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed, ``size`` of them at a time; the last block may be shorter.

    Raises:
        InputError: the file cannot be opened, or its compressed stream is damaged.
    """
    with open_binary(path) as stream:
        try:
            while block := stream.read(size):
                yield block
        except DAMAGE as error:
            raise InputError(f"damaged or truncated file ({error})", file=display_name(path)) from error


def iterate_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without its line end) of a file, decompressed, as bytes.

    Raises:
        InputError: the file cannot be opened, its compressed stream is damaged, or there is a line, or blank lines in
            a row, longer than :data:`asr_lm.limits.LINE` and :data:`asr_lm.limits.BLANK`.
    """
    longest, most_blank, blank = LINE.bytes(), BLANK.bytes(), 0
    with open_binary(path) as stream:
        number = 0
        try:
            for number, line in enumerate(iter(partial(stream.readline, longest + 1), b""), 1):
                if len(line) > longest:
                    raise LINE.exceeded(display_name(path), number)
                blank = blank + len(line) if line.isspace() else 0
                if blank > most_blank:
                    raise BLANK.exceeded(display_name(path), number)
                yield number, line.rstrip(b"\r\n")
        except DAMAGE as error:
            raise InputError(
                f"damaged or truncated file ({error})", file=display_name(path), line=number + 1
            ) from error


def iterate_text(path: str | Path) -> Iterator[tuple[int, str]]:
    """Like :func:`iterate_lines`, decoded as UTF-8 (a byte-order mark at the start is dropped).

    Raises:
        InputError: a line is not UTF-8.
    """
    for number, line in iterate_lines(path):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8 ({error.reason})", file=display_name(path), line=number) from None


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Write ``path`` through a temporary file in the same folder that replaces it when all went well.

    Whatever goes wrong, disk full and Ctrl-C included, the old file stays and the temporary file goes; that of a killed
    run goes with the next. A path ending in ``.gz`` or ``.zst`` is compressed. Of a symbolic link the target is
    replaced; what is neither file nor folder (``/dev/stdout``, a pipe) is written in place.

    Raises:
        InputError: the folder does not exist or cannot be written, or the disk is full.
    """
    try:
        is_special = stat.S_IFMT(os.stat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR)
    except OSError:
        is_special = False
    writer = _write_in_place if is_special else _replace
    with writer(Path(path)) as stream:
        yield stream


@contextlib.contextmanager
def _write_in_place(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "wb") as raw, contextlib.ExitStack() as stack:
            yield _compressed(cast(BinaryIO, raw), path, stack)
    except OSError as error:
        raise _not_writable(path, error) from error


@contextlib.contextmanager
def _replace(path: Path) -> Iterator[BinaryIO]:
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        with partial_file(target) as (descriptor, temporary):
            with os.fdopen(descriptor, "wb") as raw:
                with contextlib.ExitStack() as stack:
                    yield _compressed(cast(BinaryIO, raw), path, stack)
                raw.flush()
                os.fsync(raw.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
    except OSError as error:
        # Of some other file that the caller met while writing?
        if temporary is not None and error.filename not in (None, temporary):
            raise
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be written ({error.strerror or error})", file=path)


def _compressed(raw: BinaryIO, path: Path, stack: contextlib.ExitStack) -> BinaryIO:
    if path.suffix == ".gz":
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
        return cast(BinaryIO, stack.enter_context(cast(IO[bytes], packed)))
    if path.suffix == ".zst":
        compressor = zstandard.ZstdCompressor(write_checksum=True)
        return cast(BinaryIO, stack.enter_context(compressor.stream_writer(raw, closefd=False)))
    return raw


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def refuse_special_files(folder: Path) -> None:
    """Refuse a folder in which pipes or devices lie, or links to some: whoever opened one would wait, or read for ever.

    Raises:
        InputError: there is one.
    """
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(OSError):  # a link to nothing is one of a missing file
            if stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                raise InputError("neither a file nor a folder", file=path)


def make_folder(path: Path) -> None:
    """Make a folder and those above it; one that is there already is fine.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        stands = next(part for part in (path, *path.parents) if part.exists() and not part.is_dir())
        raise InputError("is a file, a folder was expected", file=stands) from None
    except OSError as error:
        raise InputError(f"the folder cannot be made ({error.strerror})", file=path) from None


def write_text(path: str | Path, text: str) -> None:
    """Atomically write ``text`` as UTF-8."""
    with atomic_write(path) as stream:
        stream.write(text.encode())
