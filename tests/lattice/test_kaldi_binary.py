"""Binary archives as Kaldi writes them, put together here byte by byte: a frame or a word an arc, floats or doubles."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from toy_lattices import paths

from asr_lm.errors import InputError
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices

WORDS = {7: "good", 8: "day"}
KINDS = {"lattice4": "<ff", "lattice8": "<dd", "compactlattice44": "<ff", "compactlattice84": "<dd"}

Arc = tuple[int, int, int, float, float, tuple[int, ...]]
"""Input and output label, next state, graph and acoustic cost, transition ids."""

FRAMES: list[list[Arc]] = [
    [(4, 7, 1, 2.5, 10.0, ())],
    [(4, 0, 2, 0.0, 11.0, ())],
    [(5, 8, 3, 1.0, 1.0, ()), (6, 0, 3, 0.125, 2.5, ())],
    [],
]
TRANSITIONS: list[list[Arc]] = [
    [(7, 7, 1, 2.5, 21.0, (4, 4))],
    [(8, 8, 2, 1.0, 1.0, (5,)), (0, 0, 2, 0.125, 2.5, (6,))],
    [],
]
EXPECTED = {"good day": (-4.0, -22.25), "good": (-3.125, -23.75)}
"""Graph and acoustic score of every path, the end's 0.5 and 0.25 among them."""


def entry(kind: str, key: str = "u1") -> bytes:
    states = TRANSITIONS if kind.startswith("compact") else FRAMES
    packed = [key.encode() + b" \x00B", struct.pack("<i", 2125659606)]
    packed += [struct.pack("<i", len(name)) + name.encode() for name in ("vector", kind)]
    packed.append(struct.pack("<iiQqqq", 2, 0, 3, 0, len(states), sum(map(len, states))))

    def weight(graph: float, acoustic: float, transitions: tuple[int, ...]) -> bytes:
        costs = struct.pack(KINDS[kind], graph, acoustic)
        if not kind.startswith("compact"):
            return costs
        return costs + struct.pack(f"<i{len(transitions)}i", len(transitions), *transitions)

    for number, arcs in enumerate(states):
        is_last = number == len(states) - 1
        packed.append(weight(0.5, 0.25, ()) if is_last else weight(math.inf, math.inf, ()))
        packed.append(struct.pack("<q", len(arcs)))
        for inputs, outputs, target, graph, acoustic, transitions in arcs:
            packed += [struct.pack("<ii", inputs, outputs), weight(graph, acoustic, transitions)]
            packed.append(struct.pack("<i", target))
    return b"".join(packed)


def scores(lattice: Lattice) -> dict[str, tuple[float, float]]:
    found = {}
    for path in paths(lattice):
        graph, acoustic = (float(lattice.scores[name][path].sum()) for name in ("lm", "acoustic"))
        found[lattice.text(path)] = (graph, acoustic)
    return found


@pytest.mark.parametrize("kind", KINDS)
class TestBinary:
    @pytest.mark.parametrize("name", ["lat.ark", "lat.1.gz"])
    def test_every_path_with_its_costs_and_times(self, tmp_path: Path, kind: str, name: str) -> None:
        content = entry(kind, "u1") + entry(kind, "u2")
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        found = list(read_lattices(tmp_path / name, words=WORDS))
        lattices = [lattice for lattice in found if isinstance(lattice, Lattice)]
        assert [lattice.id for lattice in lattices] == ["u1", "u2"]
        for lattice in lattices:
            assert scores(lattice) == EXPECTED
            assert lattice.scales == {"acoustic": 0.1, "lm": 1.0}
            (arc,) = np.flatnonzero(lattice.word == lattice.symbols.index("day"))
            assert (lattice.begin[arc], lattice.end[arc]) == (pytest.approx(0.02), pytest.approx(0.03))

    def test_cut_off_anywhere_it_gives_what_is_whole_and_one_line(self, tmp_path: Path, kind: str) -> None:
        first, file = entry(kind, "u1"), tmp_path / "lat.ark"
        content = first + entry(kind, "u2")
        for end in range(len(first) + 4, len(content)):
            file.write_bytes(content[:end])
            whole, error = read_lattices(file, words=WORDS)
            assert isinstance(whole, Lattice)
            assert scores(whole) == EXPECTED
            assert isinstance(error, InputError)
            assert error.utterance == "u2"
            assert str(file) in str(error)
            assert "\n" not in str(error)

    def test_costs_that_are_no_numbers(self, tmp_path: Path, kind: str) -> None:
        layout = KINDS[kind]
        bad = entry(kind, "u1").replace(struct.pack(layout, 1.0, 1.0), struct.pack(layout, 1.0, math.nan))
        (tmp_path / "lat.ark").write_bytes(bad + entry(kind, "u2"))
        error, whole = read_lattices(tmp_path / "lat.ark", words=WORDS)
        assert isinstance(error, InputError)
        assert "nan" in str(error)
        assert error.utterance == "u1"
        assert isinstance(whole, Lattice)
