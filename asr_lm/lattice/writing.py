"""Writing lattices: a file each, or an archive of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from asr_lm.errors import InputError
from asr_lm.files import atomic_write, make_folder, write_text
from asr_lm.lattice import htk_slf_writing, k2_text, kaldi_lattice, openfst_text
from asr_lm.lattice.lattice import Lattice

LatticeFormat = Literal["slf", "kaldi", "kaldi-text", "openfst", "k2"]

SYMBOL_TABLE_FILE = "words.txt"
ARCHIVE_FILE = "lat.ark"


def write_lattices(
    lattices: Sequence[Lattice], folder: Path, form: LatticeFormat, frame_shift: float = kaldi_lattice.FRAME_SHIFT
) -> list[Path]:
    """Write lattices into a folder.

    ``slf``: ``ID.slf`` each. ``openfst``, ``k2``: ``ID.txt`` each, with ``words.txt``. ``kaldi``, ``kaldi-text``: one
    archive ``lat.ark``, with ``words.txt``.

    Args:
        lattices: with different ids.
        folder: made when missing.
        form: which format.
        frame_shift: seconds a frame, where the format counts frames.

    Returns:
        The files.

    Raises:
        InputError: an unknown format, two lattices of one id, an id that makes no file name, a score the format has no
            place for.
    """
    if form not in get_args(LatticeFormat):
        raise InputError(f"unknown format {form!r}; expected one of {', '.join(get_args(LatticeFormat))}")
    _check_names([lattice.id for lattice in lattices])
    numbers = kaldi_lattice.word_numbers(lattices)
    contents = [_content(lattice, numbers, form, frame_shift) for lattice in lattices]
    make_folder(folder)
    written = []
    if form != "slf":
        table = "".join(f"{text} {number}\n" for text, number in [("<eps>", 0), *numbers.items()])
        write_text(folder / SYMBOL_TABLE_FILE, table)
        written.append(folder / SYMBOL_TABLE_FILE)
    if form in ("kaldi", "kaldi-text"):
        with atomic_write(folder / ARCHIVE_FILE) as stream:
            stream.writelines(contents)
        return [*written, folder / ARCHIVE_FILE]
    ending = "slf" if form == "slf" else "txt"
    for lattice, content in zip(lattices, contents, strict=True):
        path = folder / f"{lattice.id}.{ending}"
        with atomic_write(path) as stream:
            stream.write(content)
        written.append(path)
    return written


def _content(lattice: Lattice, numbers: dict[str, int], form: LatticeFormat, frame_shift: float) -> bytes:
    if form == "slf":
        return "".join(htk_slf_writing.slf_lines(lattice)).encode()
    if form == "k2":
        return "".join(k2_text.k2_lines(lattice, numbers)).encode()
    if form == "openfst":
        return "".join(openfst_text.text_lines(kaldi_lattice.to_machine(lattice, numbers, frame_shift))).encode()
    return kaldi_lattice.archive_entry(lattice, numbers, binary=form == "kaldi", frame_shift=frame_shift)


def _check_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError("two lattices of this id", utterance=name)
        if not name or "/" in name or name.startswith(".") or any(character.isspace() for character in name):
            raise InputError("the id makes no file name", utterance=name)
        seen.add(name)
