"""Acceptors and transducers of OpenFst as text, as ``fstprint`` and Kaldi write them.

``source target input [output] [weight]`` for an arc, ``state [weight]`` for a final state; the first state is that of
the first line, and a weight that is left out is 0. A line of four fields has one label and a weight, or two labels; a
machine has one kind of arcs, so that all its lines are looked at before one is understood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from asr_lm.errors import InputError
from asr_lm.lattice.limits import MAX_ARCS, check_arcs
from asr_lm.lattice.openfst import Machine

_NUMBER = re.compile("[0-9]{1,9}")
_SCARCE, _FULL = 3, 5
_Arc = tuple[int, list[str]]


@dataclass
class _Lines:
    """Arcs by their first state, their other fields and their lines, and what final states say."""

    start: int | None = None
    arcs: list[_Arc] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    final: dict[int, tuple[tuple[float, ...], int]] = field(default_factory=dict)


def read_machine(
    lines: Iterable[tuple[int, str]], words: Mapping[int, str] | None = None, max_arcs: int = MAX_ARCS
) -> Machine:
    """The machine of lines.

    A weight is one cost, ``graph,acoustic``, or ``graph,acoustic,transition_ids`` of a compact lattice, whose arcs have
    one label. Labels that are all numbers are numbers of words, unless a table has them as words and not as numbers.
    Where a label is none, all are words, and those of digits are numbers only where a table says so.

    Args:
        lines: number and text of every line.
        words: table of words by number.
        max_arcs: arcs, at most.

    Raises:
        InputError: with the line that is something else; too many arcs; lines that could be of either kind.
    """
    found = _Lines()
    for number, line in lines:
        if fields := line.split():
            try:
                _take(found, number, fields)
                check_arcs(max(len(found.arcs), len(found.final) - 1), max_arcs)
            except InputError as error:
                raise error.located(line=number) from None
    if found.start is None:
        raise InputError("no states")
    return _machine(found, words)


def _take(found: _Lines, number: int, fields: list[str]) -> None:
    state = _state(fields[0])
    if found.start is None:
        found.start = state
    if len(fields) <= 2:
        found.final[state] = _weight(fields[1] if len(fields) == 2 else "")
        return
    if len(fields) > _FULL:
        raise InputError(f"expected at most two labels and a weight, found {' '.join(fields)[:80]!r}")
    _state(fields[1])
    found.arcs.append((state, fields[1:]))
    found.numbers.append(number)


def _machine(found: _Lines, words: Mapping[int, str] | None) -> Machine:
    assert found.start is not None
    is_acceptor = _is_acceptor([fields[1:] for _, fields in found.arcs], found.numbers, words)
    machine = Machine(is_acceptor, found.start, final=found.final)
    for number, (state, fields) in zip(found.numbers, found.arcs, strict=True):
        labels = fields[1:2] if is_acceptor else fields[1:3]
        try:
            costs, frames = _weight("".join(fields[1 + len(labels) :]))
        except InputError as error:
            raise error.located(line=number) from None
        machine.source.append(state)
        machine.target.append(int(fields[0]))
        machine.input.append(labels[0])
        machine.output.append(labels[-1])
        machine.costs.append(costs)
        machine.frames.append(frames)
    width = max([len(costs) for costs in machine.costs] + [len(costs) for costs, _ in machine.final.values()])
    machine.costs = [_widened(costs, width) for costs in machine.costs]
    machine.final = {state: (_widened(costs, width), frames) for state, (costs, frames) in machine.final.items()}
    machine.output = _labels(machine.output, words)
    return machine


def _is_acceptor(rest: list[list[str]], numbers: list[int], words: Mapping[int, str] | None) -> bool:
    """Whether arcs have one label; ``rest`` is what is behind their states."""
    sizes = [len(fields) + 2 for fields in rest]
    if _SCARCE in sizes and _FULL in sizes:
        raise InputError(
            f"two labels and a weight, but line {numbers[sizes.index(_SCARCE)]} has one label alone",
            line=numbers[sizes.index(_FULL)],
        )
    if not sizes or _SCARCE in sizes:
        return True
    if _FULL in sizes:
        return False
    first, second = {fields[0] for fields in rest}, {fields[1] for fields in rest}
    if all(fields[0] == fields[1] for fields in rest) or not all(map(_is_weight, second)):
        return False
    if not _are_numbers(second) or not _are_numbers(first):
        return True
    if words is None or _are_known(first, words) != _are_known(second, words):
        return words is not None and _are_known(first, words)
    if not _are_known(first, words):
        return False
    raise InputError(
        "every arc has two whole numbers, which may be two labels, or one and a weight; write weights as 3.0, or two "
        "labels and a weight",
        line=numbers[0],
    )


def _are_numbers(labels: set[str]) -> bool:
    return all(_NUMBER.fullmatch(label) for label in labels)


def _are_known(labels: set[str], words: Mapping[int, str]) -> bool:
    """Whether numbers are those of words."""
    return all(int(label) == 0 or int(label) in words for label in labels)


def _labels(texts: list[int | str], words: Mapping[int, str] | None) -> list[int | str]:
    """Numbers of words as numbers, and words as they are."""
    said = {str(text) for text in texts}
    spelt = set() if words is None else set(words.values())
    if _are_numbers(said):
        is_spelt = words is not None and not _are_known(said, words) and said - {"0"} <= spelt
        return [text if is_spelt and text != "0" else int(text) for text in texts]
    meant = {
        text: int(text)
        for text in said - spelt
        if words is not None and _are_numbers({text}) and _are_known({text}, words)
    }
    return [meant.get(str(text), text) for text in texts]


def _is_weight(text: str) -> bool:
    try:
        _weight(text)
    except InputError:
        return False
    return True


def _weight(text: str) -> tuple[tuple[float, ...], int]:
    """Costs, and how many frames the transition ids are of."""
    *costs, transitions = [*text.split(",", 2), "", ""][:3]
    try:
        values = tuple(float(cost) for cost in costs if cost)
    except ValueError:
        raise InputError(f"expected a weight, found {text[:80]!r}") from None
    if any(math.isnan(value) or value == -math.inf for value in values):
        raise InputError(f"expected a finite weight, found {text[:80]!r}")
    return values or (0.0,), len(transitions.split("_")) if transitions else 0


def _widened(costs: tuple[float, ...], width: int) -> tuple[float, ...]:
    return costs + (0.0,) * (width - len(costs))


def _state(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InputError(f"expected the number of a state, found {text[:80]!r}")
    return int(text)


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
