"""Acceptors and transducers of OpenFst as Kaldi writes them, binary (``VectorFst``).

The format (OpenFst's ``fst.h``, little endian): magic number, type of the machine and of its arcs, version, flags,
properties, start, numbers of states and arcs; then for every state its final weight, its number of arcs, and the arcs:
input label, output label, weight, next state. Kaldi's arcs carry a pair of costs, and those of compact lattices the
transition ids of their frames, too.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import DAMAGE
from asr_lm.lattice.limits import MAX_ARCS, MAX_LINE, check_arcs

OPENFST_MAGIC = struct.pack("<i", 2125659606)
"""First bytes of a binary machine."""

_KINDS = {
    "standard": ("<f", False),
    "lattice4": ("<ff", False),
    "lattice8": ("<dd", False),
    "compactlattice44": ("<ff", True),
    "compactlattice84": ("<dd", True),
}
"""Costs of an arc, and whether transition ids follow, by type of the arcs."""

_HAS_SYMBOLS = 3
_LONGEST_NAME = 256
_CHUNK = 1 << 16


@dataclass
class Machine:
    """Arcs and final states as they are in the file; costs are negative logarithms.

    Attributes:
        compact: whether an arc is a word, with the frames it took, instead of a frame.
        start: first state.
        source, target, input, output: of every arc.
        costs: costs of every arc: graph and acoustic, or one alone.
        frames: frames of every arc.
        final: costs of every final state, and its frames.
    """

    compact: bool
    start: int = 0
    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    input: list[int | str] = field(default_factory=list)
    output: list[int | str] = field(default_factory=list)
    costs: list[tuple[float, ...]] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    final: dict[int, tuple[tuple[float, ...], int]] = field(default_factory=dict)


class ByteReader:
    """Bytes of a file, decompressed, read piece by piece, so that a long archive takes no memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._data, self._position = stream, b"", 0

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer at the end."""
        if len(self._data) - self._position < size:
            rest = self._data[self._position :]
            try:
                self._data = rest + self._stream.read(max(size - len(rest), _CHUNK))
            except DAMAGE as error:
                raise InputError(f"damaged or truncated file ({error})") from error
            self._position = 0
        return self._data[self._position : self._position + size]

    def skip(self, size: int) -> None:
        """Go on behind bytes.

        Raises:
            InputError: the file ends before.
        """
        while size:
            passed = len(self.peek(min(size, _CHUNK)))
            if not passed:
                raise InputError("cut off or damaged: it ends in the middle of a lattice")
            self._position += passed
            size -= passed

    def read(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            InputError: the file ends before.
        """
        found = self.peek(size)
        self.skip(size)
        return found

    def line(self) -> bytes:
        """The next line with its end; nothing at the end of the file.

        Raises:
            InputError: it is longer than :data:`MAX_LINE`.
        """
        size = 256
        while b"\n" not in (found := self.peek(size)) and len(found) == size:
            if size >= MAX_LINE:
                raise InputError(f"a line of more than {MAX_LINE:,} bytes")
            size *= 4
        end = found.find(b"\n") + 1 or len(found)
        self._position += end
        return found[:end]

    def take(self, layout: struct.Struct) -> tuple[int | float, ...]:
        """Values of a layout."""
        if len(self._data) - self._position < layout.size and len(self.peek(layout.size)) < layout.size:
            raise InputError("cut off or damaged: it ends in the middle of a lattice")
        values = layout.unpack_from(self._data, self._position)
        self._position += layout.size
        return values

    def whole(self, layout: struct.Struct, most: int, what: str) -> int:
        """A whole number from 0 to ``most``."""
        (value,) = self.take(layout)
        if not 0 <= value <= most:
            raise InputError(f"cut off or damaged: {what} is {value}")
        return int(value)

    def name(self) -> str:
        """A text behind its length."""
        return self.read(self.whole(_INT32, _LONGEST_NAME, "the length of a name")).decode("utf-8", "replace")


_INT32, _INT64 = struct.Struct("<i"), struct.Struct("<q")
_LABELS, _HEADER = struct.Struct("<ii"), struct.Struct("<iiQqqq")
_MOST = 2**31 - 1


def read_binary(data: ByteReader, max_arcs: int = MAX_ARCS) -> Machine:
    """The machine that begins here.

    Raises:
        InputError: it is none, of another kind, cut off, or damaged; or has too many arcs, and then the reader stands
            behind it.
    """
    if data.read(len(OPENFST_MAGIC)) != OPENFST_MAGIC:
        raise InputError("not a binary lattice: the first bytes are not OpenFst's")
    machine_kind, arc_kind = data.name(), data.name()
    if machine_kind != "vector" or arc_kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise InputError(f"a {machine_kind!r} machine of {arc_kind!r} arcs, expected 'vector' and one of {known}")
    version, flags, _, start, states, _ = (int(value) for value in data.take(_HEADER))
    if version != 2 or flags & _HAS_SYMBOLS:
        raise InputError(f"version {version} with flags {flags}, expected version 2 without symbol tables")
    if not 0 <= states <= _MOST or not (0 <= start < states or not states):
        raise InputError(f"damaged: {counted(states, 'state')}, the first being {start}")
    layout, compact = _KINDS[arc_kind]
    machine, count = Machine(compact, start), 0
    for state in range(states):
        ended = _weight(data, struct.Struct(layout), compact)
        count += (arcs := data.whole(_INT64, _MOST, "the number of arcs"))
        is_kept = state <= max_arcs and count <= max_arcs
        if is_kept and math.inf not in ended[0]:
            machine.final[state] = ended
        for _ in range(arcs):
            _take_arc(data, machine, state, states, struct.Struct(layout), is_kept)
    check_arcs(max(count, states - 1), max_arcs)
    return machine


def _take_arc(
    data: ByteReader, machine: Machine, state: int, states: int, weight: struct.Struct, is_kept: bool
) -> None:
    inputs, outputs = data.take(_LABELS)
    costs, frames = _weight(data, weight, machine.compact)
    target = data.whole(_INT32, states - 1, "the state an arc leads to")
    if is_kept:
        machine.source.append(state)
        machine.input.append(int(inputs))
        machine.output.append(int(outputs))
        machine.costs.append(costs)
        machine.frames.append(frames)
        machine.target.append(target)


def _weight(data: ByteReader, layout: struct.Struct, compact: bool) -> tuple[tuple[float, ...], int]:
    costs = data.take(layout)
    if not compact:
        return costs, 0
    frames = data.whole(_INT32, _MOST, "the number of frames")
    data.skip(4 * frames)
    return costs, frames


def write_binary(machine: Machine) -> bytes:
    """A compact lattice's machine as bytes; its frames get the transition id 1."""
    states = max([machine.start, *machine.source, *machine.target, *machine.final]) + 1
    header = OPENFST_MAGIC + b"".join(struct.pack("<i", len(name)) + name for name in (b"vector", b"compactlattice44"))
    parts = [header, _HEADER.pack(2, 0, 3, machine.start, states, len(machine.source))]
    by_state: list[list[int]] = [[] for _ in range(states)]
    for arc, source in enumerate(machine.source):
        by_state[source].append(arc)
    for state, arcs in enumerate(by_state):
        costs, frames = machine.final.get(state, ((math.inf, math.inf), 0))
        parts += [_packed(costs, frames), _INT64.pack(len(arcs))]
        for arc in arcs:
            labels = struct.pack("<ii", machine.input[arc], machine.output[arc])
            parts += [labels, _packed(machine.costs[arc], machine.frames[arc]), _INT32.pack(machine.target[arc])]
    return b"".join(parts)


def _packed(costs: tuple[float, ...], frames: int) -> bytes:
    return struct.pack("<ffi", *costs, frames) + struct.pack("<i", 1) * frames
