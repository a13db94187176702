"""Archives whose entries lead out of a folder, are no files, or claim to be huge."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import tarfile
from pathlib import Path

from asr_lm.corpora.archive import unpack
from asr_lm.errors import InputError

WANTED = "C/dev"
_NAMES = (
    *("C/dev/a", "C/dev/b/c", "./C/dev/a", "C//dev/a", "C/dev", "C", "C/dev/link", "C/dev/link/a", "C/dev/a/a"),
    *(
        "../victim",
        "C/dev/../../../victim",
        "C/dev/../a",
        "../../ran",
        "C/dev/..",
        "..",
        ".",
        "",
        "/tmp/ran",
        "//tmp/a",
    ),
    *("C/dev/" + "x" * 300, "C/dev/" + "d/" * 300 + "a", "C/dev/a\n", "C/dev/\x1b[31m", "C/dev/\udcff", "C/dev/-rf"),
    *("C/dev/inner.tgz", "C/dev/.a", "C/dev/a.partial", "C/dev/CON", "C/dev/a:b", "C/dev/\\..\\a", "C/dev/a "),
)
_TYPES = (
    *(tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE),
    *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"Z"),
)
_TARGETS = (
    *(
        "../../../victim",
        "../../victim",
        "..",
        ".",
        "/",
        "/nowhere/a",
        "/dev/zero",
        "a",
        "link",
        "C/dev/a",
        "../victim",
    ),
    *("x" * 300, "", "a\n", "../" * 40 + "nowhere/a", "b/../../../../victim"),
)
_FACTS: tuple[dict[str, str], ...] = (
    *({}, {}, {}, {"path": "../../victim"}, {"linkpath": "/nowhere/a"}, {"size": "99999999999"}, {"mtime": "nan"}),
    *({"size": "-1"}, {"size": "a"}, {"mtime": "1e400"}, {"comment": "x" * 2**21}, {"uid": "-7"}, {"hdrcharset": "x"}),
    *({"GNU.sparse.map": "0,1,a"}, {"GNU.sparse.size": "10", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,9"}),
)
_SIZES = (None, None, None, None, 0, 1, 2**33 - 1, 2**33 + 1, 10**15, 2**62)


def hostile_archive(folder: Path, chance: random.Random) -> Path:
    """A few of such entries beside whole ones, perhaps in an archive within an archive."""
    content = _packed(chance)
    for _ in range(chance.choice((0, 0, 0, 1, 6))):
        content = _packed(chance, content)
    (folder / "c.tgz").write_bytes(content)
    return folder / "c.tgz"


def _packed(chance: random.Random, inner: bytes | None = None) -> bytes:
    stream = io.BytesIO()
    form = chance.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=stream, mode="w", format=form, errors="surrogateescape") as tar:
        _add(tar, "C/dev/whole", b"whole")
        if inner is not None:
            _add(tar, "C/dev/inner.tgz", inner)
        for _ in range(chance.randint(1, 5)):
            _add_hostile(tar, chance)
    return gzip.compress(stream.getvalue(), 1)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _add_hostile(tar: tarfile.TarFile, chance: random.Random) -> None:
    entry, content = tarfile.TarInfo(chance.choice(_NAMES)), b"changed"
    entry.type, entry.linkname = chance.choice(_TYPES), chance.choice(_TARGETS)
    entry.mode, entry.pax_headers = chance.choice((0o644, 0o777, 0o4755, 0, 0o2777)), dict(chance.choice(_FACTS))
    entry.size = len(content) if entry.isreg() else 0
    claimed = chance.choice(_SIZES)
    if claimed is not None:
        entry.size = claimed
    tar.addfile(entry)
    tar.fileobj.write(content.ljust(512, b"\0"))  # type: ignore[union-attr]


def unpacked(path: Path) -> int:
    """Unpack a part of an archive, and see that nothing came out that may not."""
    out = path.parent / "out"
    try:
        unpack(path, out, [WANTED])
    except InputError:
        assert not out.exists() or not list(out.iterdir()), "half unpacked"
        raise
    for found in out.rglob("*"):
        kind = found.lstat().st_mode
        assert (
            stat.S_ISREG(kind) or stat.S_ISDIR(kind) or os.path.realpath(found).startswith(f"{os.path.realpath(out)}/")
        ), f"{found}"
        assert not kind & (stat.S_ISUID | stat.S_ISGID), f"{found} runs as its owner"
    return 1
