"""The archives that ``torch.save`` writes, looked into before torch sees them.

Such an archive is a zip of ``NAME/data.pkl``, ``NAME/data/0`` and so on, all of them stored as they are. A TorchScript
archive is one, too, with ``NAME/constants.pkl`` and programs in ``NAME/code/``; ``torch.load`` before release 2.6 runs
them even where it is told to load tensors alone (CVE-2025-32434).
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name

_PLAIN = re.compile(
    r"data\.pkl|data/\d+|version|byteorder|\.data/serialization_id|\.format_version|\.storage_alignment", re.ASCII
)
_PROGRAM = re.compile(r"constants\.pkl|(code|ts_code|extra)(/|$)", re.IGNORECASE)
_TIME = (1980, 1, 1, 0, 0, 0)


def saved_objects(path: str | Path) -> io.BytesIO:
    """A new archive of the members that ``torch.save`` writes, and of no other.

    torch reads this one, not the file: a file can be made in which another reader of zips finds other members.

    Raises:
        InputError: the file is no zip, is damaged, holds programs (TorchScript), or a member that ``torch.save`` does
            not write.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive.infolist(), Path(path).stat().st_size)
            return _copied(archive)
    except InputError as error:
        raise error.located(file=display_name(path)) from None
    except Exception as error:  # zipfile raises a dozen kinds for damaged files
        raise InputError(f"damaged, or not written by torch ({error})", file=display_name(path)) from None


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.filename.partition("/") for member in members]
    if any(_PROGRAM.match(name) for _, _, name in names):
        raise InputError("a TorchScript archive: it holds programs; save the machine's tensors with torch.save")
    if strange := [member for member, (_, _, name) in zip(members, names, strict=True) if not _PLAIN.fullmatch(name)]:
        raise InputError(f"damaged, or not written by torch: it holds {strange[0].filename[:80]!r}")
    if len({folder for folder, _, _ in names}) != 1 or len(set(names)) < len(names):
        raise InputError("damaged, or not written by torch: its members are not those of one archive")
    if any(member.compress_type for member in members) or sum(member.file_size for member in members) > size:
        raise InputError("damaged, or not written by torch: its members are compressed")


def _copied(archive: zipfile.ZipFile) -> io.BytesIO:
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as written:
        for member in archive.infolist():
            name = member.filename.partition("/")[2]
            written.writestr(zipfile.ZipInfo(f"archive/{name}", _TIME), archive.read(member))
    copy.seek(0)
    return copy
