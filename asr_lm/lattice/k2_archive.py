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
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def check_arcs_of_machines(arcs: Any) -> None:
    """Refuse what k2 would not survive: it believes the numbers of states and arcs, and writes behind its memory.

    Args:
        arcs: of one machine ``[arcs, 4]`` (source, target, label, score), or of several in a row: their number, 0,
            where the states of each begin, where its arcs begin, the arcs.

    Raises:
        InputError: it is neither.
    """
    values = arcs.numpy() if hasattr(arcs, "numpy") else None
    if values is None or values.dtype != np.int32 or not arcs.is_contiguous():
        raise InputError("holds no k2 machine: its arcs are no whole numbers", field="arcs")
    if values.ndim == 2 and values.shape[1] == 4 and len(values):
        return _check_machine(values, int(values[:, 1].max()) + 1)
    if values.ndim != 1 or len(values) < 4 or not 0 < values[0] <= len(values) // 2 - 2:
        raise InputError("holds no k2 machine: expected four numbers an arc", field="arcs")
    ends = int(values[0]) + 1
    states, begins, rest = values[2 : 2 + ends], values[2 + ends : 2 + 2 * ends], values[2 + 2 * ends :]
    rises = all(split[0] == 0 and (np.diff(split.astype(np.int64)) > 0).all() for split in (states, begins))
    if not rises or len(rest) != 4 * int(begins[-1]):
        raise InputError("holds no k2 machines: their numbers of states and arcs do not fit", field="arcs")
    for machine, size in zip(np.split(rest.reshape(-1, 4), begins[1:-1]), np.diff(states), strict=True):
        _check_machine(machine, int(size))


def _check_machine(arcs: NDArray[np.int32], states: int) -> None:
    source, target, label = arcs[:, 0], arcs[:, 1], arcs[:, 2]
    inside = (source >= 0).all() and (source < states - 1).all() and (target >= 0).all() and (target < states).all()
    if not inside or states > len(arcs) + 2 or (np.diff(source.astype(np.int64)) < 0).any():
        raise InputError("holds no k2 machine: an arc leads from or to a state that is none", field="arcs")
    if (label < -1).any() or ((label == -1) != (target == states - 1)).any():
        raise InputError("holds no k2 machine: label -1 leads to another state than the last", field="arcs")
