"""Reading lattices of any format, recognised by their content.

A list is something somebody made, and one bad line refuses it; lattices come in thousands, so a bad one is an error in
its place and the others are read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text, read_bytes
from asr_lm.lattice.htk_slf import read_slf
from asr_lm.lattice.k2_text import read_k2
from asr_lm.lattice.kaldi_lattice import FRAME_SHIFT, LatticeOrError, read_archive, read_text_machine
from asr_lm.lattice.limits import MAX_ARCS
from asr_lm.lattice.names import utterance_of_file
from asr_lm.lattice.openfst import OPENFST_MAGIC

_BEGINNING = 4096
_ARC = re.compile(r"\d+\s+\d+\s+\S+")
_LONE_STATE = re.compile(r"\d+(\s+\S+)?\s*")
_ENTRY = re.compile(r"[ \t]*\r?\n|\d++(\s+\d++\s+\S++|[ \t]*+\S*+)[^\n]*+\n[ \t]*+(\d|\r?\n)")
_TABLES = frozenset(("words.txt", "text", "references.tsv", "lattices.jsonl"))
"""Files that may lie beside lattices and hold none."""


def read_lattices(
    path: str | Path,
    *,
    words: Mapping[int, str] | None = None,
    frame_shift: float = FRAME_SHIFT,
    trust: bool = False,
    max_arcs: int = MAX_ARCS,
) -> Iterator[LatticeOrError]:
    """The lattices of a file or of all files of a folder, by name.

    Args:
        path: a file of one lattice (HTK, OpenFst text, k2 text or ``.pt``), an archive (Kaldi), or a folder of them.
        words: table of words, where labels are numbers.
        frame_shift: seconds from one frame to the next, where times are counted in frames.
        trust: read a k2 file even where torch cannot read it without running what is in it.
        max_arcs: arcs of one lattice, at most.

    Yields:
        A lattice, or the error that stands in its place.

    Raises:
        InputError: there is no such file, or nothing in the folder.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise InputError("no such file", file=path)
        yield from _of_file(path, words, frame_shift, trust, max_arcs)
        return
    files = sorted(file for file in path.iterdir() if file.is_file() and not _is_no_lattice(file))
    if not files:
        raise InputError("a folder without lattices", file=path)
    for file in files:
        yield from _of_file(file, words, frame_shift, trust, max_arcs)


def _is_no_lattice(file: Path) -> bool:
    return file.name in _TABLES or file.name.startswith(".")


def _of_file(
    file: Path, words: Mapping[int, str] | None, frame_shift: float, trust: bool, max_arcs: int
) -> Iterator[LatticeOrError]:
    try:
        kind = lattice_format(file)
        if kind == "kaldi":
            yield from read_archive(file, words, frame_shift, max_arcs)
        elif kind == "slf":
            yield read_slf(file, max_arcs=max_arcs)
        elif kind == "openfst":
            yield read_text_machine(file, iterate_text(file), words, frame_shift, max_arcs)
        elif kind == "k2":
            yield read_k2(iterate_text(file), utterance_of_file(file), words, max_arcs)
        else:
            from asr_lm.lattice.k2 import read_pt

            yield from read_pt(file, words, trust=trust, max_arcs=max_arcs)
    except InputError as error:
        yield error.located(file=display_name(file))


def lattice_format(file: Path) -> str:
    """The format of a file.

    Raises:
        InputError: it is none that is known.
    """
    beginning = read_bytes(file, _BEGINNING)
    if not beginning.strip():
        raise InputError("an empty file", file=display_name(file))
    if beginning[:4] == b"PK\x03\x04":
        return "pt"
    if re.match(rb"\s*\S+ (\x00B)?" + re.escape(OPENFST_MAGIC), beginning):
        return "kaldi"
    try:
        text = beginning.decode("utf-8", "strict" if len(beginning) < _BEGINNING else "replace")
    except UnicodeDecodeError:
        raise InputError("not a lattice of a known format", file=display_name(file)) from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if any(re.match(r"\s*(VERSION|UTTERANCE|N|NODES|I|start|base|lmname)=", line) for line in lines[:5]):
        return "slf"
    if lines and _ARC.match(lines[0]):
        return "k2" if _is_k2(file) else "openfst"
    if _is_archive(text):
        return "kaldi"
    if len(lines) == 1 and _LONE_STATE.fullmatch(lines[0]):
        return "openfst"
    known = "HTK's, Kaldi's, OpenFst's and k2's"
    raise InputError(f"not a lattice of a known format; {known} are read", file=display_name(file))


def _is_archive(text: str) -> bool:
    """Whether a lattice in text, or none, follows an utterance's id on a line of its own."""
    key, _, rest = text.lstrip().partition("\n")
    return len(key.split()) == 1 and bool(_ENTRY.match(rest))


def _is_k2(file: Path) -> bool:
    """k2's arcs to the last state have label -1; OpenFst has no such label."""
    arcs = (line.split() for _, line in itertools.islice(iterate_text(file), 1_000_000))
    return any(len(fields) > 3 and fields[2] == "-1" for fields in arcs)
