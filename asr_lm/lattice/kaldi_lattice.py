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
from asr_lm.files import display_name, open_binary
from asr_lm.lattice import openfst, openfst_text
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.limits import MAX_ARCS
from asr_lm.lattice.names import utterance_of_file
from asr_lm.lattice.openfst import OPENFST_MAGIC, ByteReader, Machine
from asr_lm.lattice.symbols import Symbols, word_of

FRAME_SHIFT = 0.01
"""Seconds from one frame to the next."""

KALDI_SCALES = {"acoustic": 0.1, "lm": 1.0}
"""Kaldi's lattices keep acoustic scores unscaled, and its programs scale them by a tenth unless told otherwise."""

LatticeOrError = Lattice | InputError
"""A lattice, or why there is none."""

_KEY = re.compile(rb"(\S+)[ \t]*(\r?\n)?")
_BINARY = b"\x00B"
_LONGEST_KEY = 4096


def read_archive(
    path: str | Path,
    words: Mapping[int, str] | None = None,
    frame_shift: float = FRAME_SHIFT,
    max_arcs: int = MAX_ARCS,
) -> Iterator[LatticeOrError]:
    """The lattices of an archive, in order; a bad one is an error in its place.

    Args:
        path: the archive; may be compressed. It is read lattice by lattice.
        words: table of words, where the labels are numbers.
        frame_shift: seconds from one frame to the next.
        max_arcs: arcs of one lattice, at most.
    """
    with open_binary(path) as stream:
        archive = _Archive(ByteReader(stream), words, max_arcs)
        while not archive.is_over:
            try:
                if (machine := archive.machine()) is None:
                    return
                found = to_lattice(machine, archive.id, words, frame_shift)
                yield replace(found, scales=KALDI_SCALES)
            except InputError as error:
                yield error.located(file=display_name(path), utterance=archive.id or None)


class _Archive:
    """Machines of an archive, one after the other.

    Attributes:
        id: of the utterance whose machine was last read.
        is_over: whether nobody knows where the next one begins.
    """

    def __init__(self, data: ByteReader, words: Mapping[int, str] | None, max_arcs: int) -> None:
        self._data, self._words, self._max_arcs = data, words, max_arcs
        self._line = 1
        self.id, self.is_over = "", False

    def machine(self) -> Machine | None:
        """The next machine; None at the end.

        Raises:
            InputError: it cannot be read.
        """
        self.is_over, self.id = True, ""
        if (match := self._key()) is None:
            return None
        self.id = match[1].decode("utf-8", "backslashreplace")
        self._data.skip(match.end())
        if self._data.peek(2) == _BINARY:
            self._data.skip(2)
        if self._data.peek(4) != OPENFST_MAGIC and match[2]:
            return self._text_machine()
        return self._binary_machine()

    def _key(self) -> re.Match[bytes] | None:
        while (ahead := self._data.peek(_LONGEST_KEY)) and ahead[:1].isspace():
            blank = len(ahead) - len(ahead.lstrip())
            self._line += ahead.count(b"\n", 0, blank)
            self._data.skip(blank)
        match = _KEY.match(ahead)
        if match is not None and len(match[1]) == _LONGEST_KEY:
            raise InputError("expected an utterance's id and a lattice", line=self._line)
        return match

    def _binary_machine(self) -> Machine:
        if self._data.peek(4) != OPENFST_MAGIC:
            raise InputError("expected an utterance's id and a lattice; nothing behind it is read", line=self._line)
        try:
            machine = openfst.read_binary(self._data, self._max_arcs)
        except InputError as error:
            self.is_over = error.parameter != "max_arcs"
            raise
        self.is_over = False
        return machine

    def _text_machine(self) -> Machine:
        self._line += 1
        block = self._block()
        try:
            lines = ((number, _decoded(line, number)) for number, line in block)
            return openfst_text.read_machine(lines, self._words, self._max_arcs)
        finally:
            for _ in block:
                pass

    def _block(self) -> Iterator[tuple[int, bytes]]:
        """Numbered lines up to a blank one."""
        while (line := self._data.line()).strip():
            self._line += 1
            yield self._line - 1, line
        self._line += 1
        self.is_over = False


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 ({error.reason})", line=number) from None


def read_text_machine(
    path: str | Path,
    lines: Iterable[tuple[int, str]],
    words: Mapping[int, str] | None = None,
    frame_shift: float = FRAME_SHIFT,
    max_arcs: int = MAX_ARCS,
) -> LatticeOrError:
    """The lattice of a text file that holds one machine; it is called after the file."""
    name = utterance_of_file(path)
    try:
        return to_lattice(openfst_text.read_machine(lines, words, max_arcs), name, words, frame_shift)
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
    frames = machine.frames if machine.compact else [int(label not in (0, "0", "<eps>")) for label in machine.input]
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
    return key + b"\n" + "".join(openfst_text.text_lines(machine)).encode() + b"\n"
