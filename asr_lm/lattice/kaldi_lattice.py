"""Kaldi's lattice archives, binary and text, and OpenFst's machines in text.

An archive is a row of lattices, each behind the id of its utterance: binary as Kaldi writes them by default
(:mod:`asr_lm.lattice.openfst`), or as lines that a blank line ends. ``CompactLattice`` has a word on an arc with the
frames it took, ``Lattice`` a frame on an arc with the word that begins there. Graph and acoustic costs become the
natural-log scores ``lm`` and ``acoustic``. The times of words follow from the frames; in archives that were not
aligned to words they are off by some frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr_lm.errors import InputError
from asr_lm.files import display_name, read_bytes
from asr_lm.lattice import openfst
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.openfst import OPENFST_MAGIC, Machine
from asr_lm.lattice.symbols import Symbols, word_of

FRAME_SHIFT = 0.01
"""Seconds from one frame to the next."""

KALDI_SCALES = {"acoustic": 0.1, "lm": 1.0}
"""Kaldi's lattices keep acoustic scores unscaled, and its programs scale them by a tenth unless told otherwise."""

LatticeOrError = Lattice | InputError
"""A lattice, or why there is none."""

_KEY = re.compile(rb"\s*(\S+)[ \t]*(\r?\n)?")
_BINARY = b"\x00B"
_LONGEST_KEY = 4096


def read_archive(
    path: str | Path, words: Mapping[int, str] | None = None, frame_shift: float = FRAME_SHIFT
) -> Iterator[LatticeOrError]:
    """The lattices of an archive, in order; a bad one is an error in its place.

    Args:
        path: the archive; may be compressed.
        words: table of words, where the labels are numbers.
        frame_shift: seconds from one frame to the next.
    """
    data = memoryview(read_bytes(path))
    position = counted = 0
    line = 1
    while match := _KEY.match(data, position, position + _LONGEST_KEY):
        name = match[1].decode("utf-8", "replace")
        position = match.end()
        is_text = False
        try:
            if bytes(data[position : position + 2]) == _BINARY:
                position += 2
            if bytes(data[position : position + 4]) == OPENFST_MAGIC:
                machine, position = openfst.read_binary(data, position)
            elif match[2]:
                line += bytes(data[counted:position]).count(b"\n")
                counted, is_text = position, True
                lines, position = _block(data, position, line)
                machine = openfst.read_text(lines)
            else:
                raise InputError("expected an utterance's id and a lattice", file=display_name(path))
        except InputError as error:
            yield error.located(file=display_name(path), utterance=name)
            if not is_text:
                return  # nobody knows where the next one begins
            continue
        found = _located(machine, name, path, words, frame_shift)
        yield found if isinstance(found, InputError) else replace(found, scales=KALDI_SCALES)


def _block(data: memoryview, position: int, line: int) -> tuple[list[tuple[int, str]], int]:
    """Numbered lines up to a blank one, and the position behind it."""
    end = re.compile(rb"\r?\n[ \t]*\r?\n|\Z").search(data, max(position - 1, 0))
    assert end is not None
    text = bytes(data[position : max(end.start(), position)]).decode("utf-8", "replace")
    return list(enumerate(text.splitlines(), line)), end.end()


def read_text_machine(
    path: str | Path,
    lines: Iterable[tuple[int, str]],
    words: Mapping[int, str] | None = None,
    frame_shift: float = FRAME_SHIFT,
) -> LatticeOrError:
    """The lattice of a text file that holds one machine; it is called after the file."""
    name = Path(path).name.split(".")[0]
    try:
        machine = openfst.read_text(lines)
    except InputError as error:
        return error.located(file=display_name(path), utterance=name)
    return _located(machine, name, path, words, frame_shift)


def _located(
    machine: Machine, name: str, path: str | Path, words: Mapping[int, str] | None, frame_shift: float
) -> LatticeOrError:
    try:
        return to_lattice(machine, name, words, frame_shift)
    except InputError as error:
        return error.located(file=display_name(path), utterance=name)


def to_lattice(
    machine: Machine, name: str, words: Mapping[int, str] | None = None, frame_shift: float = FRAME_SHIFT
) -> Lattice:
    """The lattice of a machine.

    Raises:
        InputError: a word is not in the table, a cycle, no path, costs that are no numbers.
    """
    symbols = Symbols()
    labels = set(machine.output)
    texts = {label: label if isinstance(label, str) else word_of(label, words) for label in labels}
    word = [symbols.number(texts[label]) for label in machine.output]
    frames = machine.frames if machine.compact else [int(label not in (0, "<eps>")) for label in machine.input]
    if not machine.final:
        raise InputError("no final state")
    names = ("lm", "acoustic")[: len(next(iter(machine.final.values()))[0])]
    costs = np.array(machine.costs, dtype=np.float64).reshape(len(word), len(names))
    begin = _times(machine, frames) * frame_shift
    return Lattice.from_arcs(
        name,
        symbols.texts,
        machine.source,
        machine.target,
        word,
        {score: 0.0 - costs[:, column] for column, score in enumerate(names)},
        start=machine.start,
        final={
            state: {score: 0.0 - cost for score, cost in zip(names, ended, strict=True)}
            for state, (ended, _) in machine.final.items()
        },
        begin=begin,
        end=begin + frame_shift * np.array(frames, dtype=np.float64),
    )


def _times(machine: Machine, frames: list[int]) -> np.ndarray:
    """Frames from the start to the source of every arc, along the first path that gets there ``[arcs]``; else NaN."""
    leaving: dict[int, list[int]] = {}
    for arc, source in enumerate(machine.source):
        leaving.setdefault(source, []).append(arc)
    times = {machine.start: 0}
    waiting = [machine.start]
    while waiting:
        state = waiting.pop()
        for arc in leaving.get(state, ()):
            target = machine.target[arc]
            if target not in times:
                times[target] = times[state] + frames[arc]
                waiting.append(target)
    return np.array([times.get(source, np.nan) for source in machine.source], dtype=np.float64)


def to_machine(lattice: Lattice, numbers: Mapping[str, int], frame_shift: float = FRAME_SHIFT) -> Machine:
    """A lattice as a compact lattice's machine.

    Args:
        lattice: with scores ``lm`` and ``acoustic`` alone; a missing one is 0.
        numbers: number of every word.
        frame_shift: seconds from one frame to the next.

    Raises:
        InputError: another score, a word without a number.
    """
    if strange := [name for name in lattice.scores if name not in ("lm", "acoustic")]:
        raise InputError(f"the format has no place for a score {strange[0]!r}", utterance=lattice.id)
    if missing := [text for text in lattice.symbols[1:] if text not in numbers]:
        raise InputError(f"the word {missing[0]!r} has no number", utterance=lattice.id, parameter="words")
    labels = [0, *(numbers[text] for text in lattice.symbols[1:])]
    output: list[int | str] = [labels[word] for word in lattice.word.tolist()]
    zero = np.zeros(len(lattice))
    graph, acoustic = (0.0 - lattice.scores.get(name, zero) for name in ("lm", "acoustic"))
    frames = np.nan_to_num(np.round((lattice.end - lattice.begin) / frame_shift)).clip(0).astype(int)
    return Machine(
        True,
        0,
        lattice.source.tolist(),
        lattice.target.tolist(),
        output,
        list(output),
        list(zip(graph.tolist(), acoustic.tolist(), strict=True)),
        frames.tolist(),
        {lattice.nodes - 1: ((0.0, 0.0), 0)},
    )


def word_numbers(lattices: Iterable[Lattice]) -> dict[str, int]:
    """A number for every word of some lattices, from 1 on, in alphabetical order."""
    texts = sorted({text for lattice in lattices for text in lattice.symbols[1:]})
    return {text: number for number, text in enumerate(texts, 1)}


def archive_entry(
    lattice: Lattice, numbers: Mapping[str, int], *, binary: bool, frame_shift: float = FRAME_SHIFT
) -> bytes:
    """A lattice as it stands in an archive."""
    machine = to_machine(lattice, numbers, frame_shift)
    key = lattice.id.encode() + b" "
    if binary:
        return key + openfst.write_binary(machine)
    return key + b"\n" + "".join(openfst.text_lines(machine)).encode() + b"\n"
