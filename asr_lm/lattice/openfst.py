"""Acceptors and transducers of OpenFst as Kaldi writes them: binary ``VectorFst`` and the text of ``fstprint``.

Binary (OpenFst's ``fst.h``, little endian): magic number, type of the machine and of its arcs, version, flags,
properties, start, numbers of states and arcs; then for every state its final weight, its number of arcs, and the arcs:
input label, output label, weight, next state. Kaldi's arcs carry a pair of costs, and those of compact lattices the
transition ids of their frames, too.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from asr_lm.errors import InputError

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


class _Cursor:
    """Reads values from bytes and refuses to read beyond their end."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data, self.position = data, position

    def take(self, layout: struct.Struct) -> tuple[int | float, ...]:
        if self.position + layout.size > len(self.data):
            raise InputError("cut off or damaged: it ends in the middle of a lattice")
        values = layout.unpack_from(self.data, self.position)
        self.position += layout.size
        return values

    def whole(self, layout: struct.Struct, most: int, what: str) -> int:
        (value,) = self.take(layout)
        if value > most:
            raise InputError(f"cut off or damaged: {what} is {value}")
        if value < 0:
            raise InputError(f"damaged: {what} is {value}")
        return int(value)

    def name(self) -> str:
        length = self.whole(_INT32, _LONGEST_NAME, "the length of a name")
        if self.position + length > len(self.data):
            raise InputError("cut off or damaged: it ends in the middle of a lattice")
        text = bytes(self.data[self.position : self.position + length])
        self.position += length
        return text.decode("utf-8", "replace")

    @property
    def left(self) -> int:
        return len(self.data) - self.position


_INT32, _INT64 = struct.Struct("<i"), struct.Struct("<q")
_HEADER = struct.Struct("<iiQqqq")


def read_binary(data: memoryview, position: int) -> tuple[Machine, int]:
    """The machine that begins at a position, and the position behind it.

    Raises:
        InputError: it is none, of another kind, cut off, or damaged.
    """
    cursor = _Cursor(data, position + len(OPENFST_MAGIC))
    if bytes(data[position : position + len(OPENFST_MAGIC)]) != OPENFST_MAGIC:
        raise InputError("not a binary lattice: the first bytes are not OpenFst's")
    machine_kind, arc_kind = cursor.name(), cursor.name()
    if machine_kind != "vector" or arc_kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise InputError(f"a {machine_kind!r} machine of {arc_kind!r} arcs, expected 'vector' and one of {known}")
    version, flags, _, start, states, _ = (int(value) for value in cursor.take(_HEADER))
    if version != 2 or flags & _HAS_SYMBOLS:
        raise InputError(f"version {version} with flags {flags}, expected version 2 without symbol tables")
    layout, compact = _KINDS[arc_kind]
    weight = struct.Struct(layout)
    smallest = weight.size + (4 if compact else 0) + 8
    if not 0 <= states <= cursor.left // smallest or not (0 <= start < states or not states):
        raise InputError(f"damaged: {states} states, the first being {start}, in {cursor.left} bytes")
    machine = Machine(compact, start)
    labels = struct.Struct("<ii")
    for state in range(states):
        costs, frames = _weight(cursor, weight, compact)
        if all(cost != math.inf for cost in costs):
            machine.final[state] = (costs, frames)
        arcs = cursor.whole(_INT64, cursor.left // (smallest + 4), "the number of arcs")
        for _ in range(arcs):
            inputs, outputs = cursor.take(labels)
            costs, frames = _weight(cursor, weight, compact)
            machine.source.append(state)
            machine.input.append(int(inputs))
            machine.output.append(int(outputs))
            machine.costs.append(costs)
            machine.frames.append(frames)
            machine.target.append(cursor.whole(_INT32, states - 1, "the state an arc leads to"))
    return machine, cursor.position


def _weight(cursor: _Cursor, layout: struct.Struct, compact: bool) -> tuple[tuple[float, ...], int]:
    costs = cursor.take(layout)
    if not compact:
        return costs, 0
    frames = cursor.whole(_INT32, cursor.left // 4, "the number of frames")
    cursor.position += 4 * frames
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


def read_text(lines: Iterable[tuple[int, str]]) -> Machine:
    """The machine of lines: ``source target input [output] [weight]``, and ``state [weight]`` for final states.

    A weight is one cost, ``graph,acoustic``, or ``graph,acoustic,transition_ids`` of a compact lattice, whose arcs have
    one label.

    Args:
        lines: number and text of every line.

    Raises:
        InputError: with the line that is something else.
    """
    machine = Machine(compact=True)
    first = True
    for number, line in lines:
        fields = line.split()
        if not fields:
            continue
        try:
            state = _state(fields[0])
            if first:
                machine.start, first = state, False
            if len(fields) <= 2:
                machine.final[state] = _text_weight(fields[1] if len(fields) == 2 else "")
            else:
                _take_arc(machine, state, fields)
        except InputError as error:
            raise error.located(line=number) from None
    if first:
        raise InputError("no states")
    width = max([len(costs) for costs in machine.costs] + [len(costs) for costs, _ in machine.final.values()])
    machine.costs = [_widened(costs, width) for costs in machine.costs]
    machine.final = {state: (_widened(costs, width), frames) for state, (costs, frames) in machine.final.items()}
    return machine


def _take_arc(machine: Machine, source: int, fields: list[str]) -> None:
    target, labels = _state(fields[1]), fields[2:]
    weight = labels.pop() if len(labels) > 1 and (len(labels) == 3 or _is_weight(labels[-1])) else ""
    if len(labels) > 2:
        raise InputError(f"expected at most two labels and a weight, found {' '.join(fields)!r}")
    costs, frames = _text_weight(weight)
    machine.compact &= len(labels) == 1
    machine.source.append(source)
    machine.target.append(target)
    machine.input.append(_label(labels[0]))
    machine.output.append(_label(labels[-1]))
    machine.costs.append(costs)
    machine.frames.append(frames)


def _is_weight(text: str) -> bool:
    if text.isascii() and text.isdigit():
        return False
    try:
        _text_weight(text)
    except InputError:
        return False
    return True


def _text_weight(text: str) -> tuple[tuple[float, ...], int]:
    costs, *transitions = text.split(",", 2)[:2], *text.split(",", 2)[2:]
    try:
        values = tuple(float(cost) for cost in costs if cost)
    except ValueError:
        raise InputError(f"expected a weight, found {text!r}") from None
    if any(math.isnan(value) or value == -math.inf for value in values):
        raise InputError(f"expected a finite weight, found {text!r}")
    frames = len(transitions[0].split("_")) if transitions and transitions[0] else 0
    return values or (0.0,), frames


def _widened(costs: tuple[float, ...], width: int) -> tuple[float, ...]:
    return costs + (0.0,) * (width - len(costs))


def _state(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise InputError(f"expected the number of a state, found {text!r}")
    return int(text)


def _label(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def text_lines(machine: Machine) -> Iterator[str]:
    """A machine as lines, those of the first state first; arcs of one label."""
    by_state: dict[int, list[int]] = {machine.start: []}
    for arc, source in enumerate(machine.source):
        by_state.setdefault(source, []).append(arc)
    for state in (*by_state, *(state for state in machine.final if state not in by_state)):
        for arc in by_state.get(state, ()):
            weight = _printed(machine.costs[arc], machine.frames[arc])
            yield f"{state} {machine.target[arc]} {machine.output[arc]} {weight}\n"
        if state in machine.final:
            yield f"{state} {_printed(*machine.final[state])}\n"


def _printed(costs: tuple[float, ...], frames: int) -> str:
    printed = ",".join(f"{cost:.9g}" for cost in costs)
    return f"{printed},{'_'.join(['1'] * frames)}" if len(costs) == 2 else printed
