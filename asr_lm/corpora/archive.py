"""Unpacking what is wanted of a big archive, and nothing half.

What an archive holds goes to a hidden folder first; a wanted file or folder gets its name when everything is there and
the archive has been read to its end, where its own checksum stands. Nothing is written outside of the folder.
"""

from __future__ import annotations

import gzip
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self, cast

from asr_lm.corpora.archive_stream import Allowance, Unpacked
from asr_lm.corpora.download import Report, no_report
from asr_lm.errors import InputError
from asr_lm.files import make_folder
from asr_lm.limits import MEMBER

_PACKED = (".tar.gz", ".tgz")
_MOST_DEPTH = 4
_FACTS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
# What tarfile raises for numbers that are none, links to nothing, and headers of headers without end.
_NONSENSE = (ValueError, ArithmeticError, LookupError, RecursionError)
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, *_NONSENSE)


def unpack(archive: Path, folder: Path, wanted: Sequence[str], report: Report = no_report) -> None:
    """Unpack files and folders of a gzipped tar archive; what lies there of an earlier time is replaced.

    Archives within the archive are unpacked where they lie (AISHELL-1 has one for each speaker).

    Args:
        wanted: paths in the archive.

    Raises:
        InputError: the archive is damaged or truncated, lacks something wanted, or would write elsewhere; a file in it
            is larger than :data:`asr_lm.limits.MEMBER` or than the space that is left; it unpacks to more than
            :class:`~asr_lm.corpora.archive_stream.Allowance` allows; the disk is full.
    """
    if not hasattr(tarfile, "data_filter"):
        raise InputError("unpacking it safely needs Python 3.11.4 or later", file=archive)
    hidden = folder / f".{archive.name}.unpacking"
    shutil.rmtree(hidden, ignore_errors=True)
    make_folder(hidden)
    try:
        _unpack(archive, hidden, wanted, report)
        for path in wanted:
            if not (hidden / path).exists():
                raise InputError(f"holds no {path}", file=archive)
        for path in wanted:
            _replace(hidden / path, folder / path)
    except InputError as error:
        raise error.located(file=archive) from None
    except tarfile.FilterError as error:
        raise InputError(f"is not safe to unpack ({error})", file=archive) from None
    except _DAMAGE as error:
        raise InputError(f"damaged or truncated archive ({error})", file=archive) from None
    except OSError as error:
        raise InputError(f"cannot be unpacked ({error.strerror or error})", file=archive) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _check_member(member: tarfile.TarInfo, archive: Path, folder: Path) -> None:
    """Refuse a file that is not to be written, before it is."""
    if member.size > MEMBER.bytes():
        raise MEMBER.exceeded(f"{archive}: {member.name}")
    if (free := shutil.disk_usage(folder).free) < member.size:
        raise InputError(f"{member.name} takes {member.size:,} bytes, and {free:,} are free", file=folder)


def _unpack(archive: Path, hidden: Path, wanted: Sequence[str], report: Report) -> None:
    size = archive.stat().st_size
    with open(archive, "rb") as raw, gzip.GzipFile(fileobj=raw) as packed:
        for tar, member, inside in _members(Unpacked(packed, Allowance.of(size)), ""):
            name = posixpath.normpath(posixpath.join(inside, member.name))
            if any(name == path or name.startswith(f"{path}/") for path in wanted):
                _check_member(member, archive, hidden)
                tar.extract(member, hidden / inside, filter="data")
            report(raw.tell(), size)


def _members(stream: Unpacked, inside: str, depth: int = 0) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, str]]:
    """Archive, entry, and the folder in which that archive lies, of every entry."""
    if depth > _MOST_DEPTH:
        raise InputError(f"archives within each other more than {_MOST_DEPTH} times")
    with tarfile.TarFile(fileobj=cast(IO[bytes], stream), tarinfo=_entries_of(stream)) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(_PACKED):
                content = cast(IO[bytes], tar.extractfile(member))
                place = posixpath.join(inside, posixpath.dirname(member.name))
                with gzip.GzipFile(fileobj=content) as unpacked:
                    yield from _members(stream.within(unpacked), posixpath.normpath(place), depth + 1)
            else:
                yield tar, member, inside
    stream.finish()


def _entries_of(stream: Unpacked) -> type[tarfile.TarInfo]:
    """Entries that tell the stream when facts about one come next, which ``tarfile`` takes into memory."""

    class Entry(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            entry = super().frombuf(buf, encoding, errors)
            if entry.type in _FACTS:
                stream.expect_facts(entry.size)
            return entry

    return Entry


def _replace(source: Path, target: Path) -> None:
    make_folder(target.parent)
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)
