"""Damaged lattices, tables of words and of references: each is read or refused, and never takes long.

Small whole files are changed by chance: cut, bytes flipped, pieces doubled, swapped or left out, numbers made huge,
bytes put in that mean something to some reader. A fault is an exception other than ``InputError``, a file that gives
neither a lattice nor a reason, or one that takes more than :data:`MOST_SECONDS`.
"""

from __future__ import annotations

import io
import random
import re
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from asr_lm.errors import InputError
from asr_lm.hypotheses.references import read_references
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices
from asr_lm.lattice.symbols import read_words
from asr_lm.lattice.writing import write_lattices

MOST_SECONDS = 5
WORDS = {1: "a", 2: "b", 3: "c"}

_SLF = (
    b"VERSION=1.0\nUTTERANCE=/d/u1.mfc base=2 lmscale=9.5 wdpenalty=-1\nstart=0 end=2\nN=3 L=3\n"
    b'I=0 t=0 W=!NULL\nI=1 t=0.5 W="a\\142" v=1\nI=2 t=1 W=b\n'
    b"J=0 S=0 E=1 a=-1.5 l=-2\nJ=1 S=0 E=2 acoustic=-3 l=-1\nJ=2 S=1 E=2 a=-1 l=-0.5 d=:x,0.1:\n"
)
_TRANSDUCER = b"u1\n0 1 4 1 2.5,10\n1 2 4 0 0,11\n2 3 5 2 1,1\n3 0.5,0.25\n\nu2\n0 1 3 3 1,2\n1\n\n"
_HUGE = (b"999999999", b"2147483648", b"9" * 30, b"-1", b"1e999", b"nan", b"-inf", b"0x10", b"1_0", b"")
_PIECES = (
    *(b"\n", b"\n\n", b"\0", b"\xff", b"\xef\xbb\xbf", b" ", b"\t", b"=", b'"', b"\\", b"\\0", b",", b"#", b"\x1f\x8b"),
    *(b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\0B", b"I=", b"J=0 S=0 E=0", b"-1", b"\xe2\x80\xa8", b"\xff\xff\xff\x7f"),
)


def _lattice(number: int) -> Lattice:
    return Lattice.from_arcs(
        f"u{number}", ("", "a", "b", "c"), [0, 0, 1, 1], [1, 2, 2, 2], [1, 2, 3, 0],
        {"acoustic": [-1.0, -2.5, -3.0, -0.5], "lm": [-1.0, 0.0, -2.0, -1.0]}, final={2: {}},
        begin=[0.0, 0.0, 0.5, 0.5], end=[0.5, 1.0, 1.0, 1.0],
    )  # fmt: skip


def _written(form: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        paths = write_lattices([_lattice(1), _lattice(2)], Path(folder), form)
        return next(path for path in paths if path.name != "words.txt").read_bytes()


def _saved() -> bytes:
    stream = io.BytesIO()
    arcs = torch.tensor([[0, 1, 1, 0], [1, 2, 2, 0], [2, 3, -1, 0]], dtype=torch.int32)
    torch.save({"arcs": arcs, "lm_scores": torch.zeros(3)}, stream)
    return stream.getvalue()


def _lattices(path: Path) -> int:
    found = list(read_lattices(path, words=WORDS, max_arcs=10_000))
    if not found:
        raise AssertionError("neither a lattice nor a reason")
    return sum(isinstance(item, Lattice) for item in found)


Reader = Callable[[Path], int]
"""Reads a file and says how much of it was read."""

READERS: dict[str, tuple[Reader, Callable[[], list[bytes]]]] = {
    "HTK": (_lattices, lambda: [_SLF, _written("slf")]),
    "Kaldi, binary": (_lattices, lambda: [_written("kaldi")]),
    "Kaldi, text": (_lattices, lambda: [_TRANSDUCER, _written("kaldi-text")]),
    "OpenFst": (_lattices, lambda: [b"0 1 a a 0.5\n0 1 b b 1.5\n1 2 c c\n2 0.25\n", _written("openfst")]),
    "k2, text": (_lattices, lambda: [b"0 1 30 1 -0.5\n1 2 32 2 0.25\n2 3 -1 -1 -0.125\n3\n", _written("k2")]),
    "k2, saved": (_lattices, lambda: [_saved()]),
    "words": (lambda path: len(read_words(path)), lambda: [b"<eps> 0\na 1\nb 2\nc 3\n"]),
    "references": (lambda path: len(read_references(path)), lambda: [b"u1 good day\nu2\tbye\nu3\n"]),
}


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file changed in one to three places."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        chance.choice(_CHANGES)(data, chance)
    return bytes(data)


def _span(data: bytearray, chance: random.Random) -> slice:
    at = chance.randint(0, len(data))
    return slice(at, at + chance.choice((1, 2, 4, 8, 20)))


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randint(0, len(data)) :]


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _drop(data: bytearray, chance: random.Random) -> None:
    del data[_span(data, chance)]


def _double(data: bytearray, chance: random.Random) -> None:
    span = _span(data, chance)
    data[span] = data[span] * chance.choice((2, 3, 500))


def _swap(data: bytearray, chance: random.Random) -> None:
    lines = data.splitlines(keepends=True)
    chance.shuffle(lines)
    data[:] = b"".join(lines)


def _huge(data: bytearray, chance: random.Random) -> None:
    if numbers := list(re.finditer(rb"\d+", data)):
        start, end = chance.choice(numbers).span()
        data[start:end] = chance.choice(_HUGE)


def _put(data: bytearray, chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.choice(_PIECES)


_CHANGES = (_cut, _flip, _flip, _drop, _double, _swap, _huge, _huge, _put, _put)


def run(inputs: int, seed: int) -> list[dict[str, Any]]:
    """Read so many damaged files with every reader.

    Returns:
        A row for each reader: how many were read, at least in part, and refused, the longest time, and the faults.
    """
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        return [_row(name, inputs, seed, Path(folder) / "u.1") for name in READERS]


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} seconds")


def _row(name: str, inputs: int, seed: int, path: Path) -> dict[str, Any]:
    reader, made = READERS[name]
    whole, read, slowest, faults = made(), 0, 0.0, []
    for number in range(inputs):
        chance = random.Random(f"{seed} {name} {number}")
        path.write_bytes(mutated(chance.choice(whole), chance))
        begin = time.perf_counter()
        try:
            read += _attempt(reader, path) > 0
        except Exception as error:
            faults.append(f"input {number}: {type(error).__name__}: {error} in {path.read_bytes()[:300]!r}")
        slowest = max(slowest, time.perf_counter() - begin)
    row = {"reader": name, "inputs": inputs, "read": read, "refused": inputs - read - len(faults)}
    return row | {"slowest": f"{slowest:.2f} s", "faults": faults}


def _attempt(reader: Reader, path: Path) -> int:
    signal.alarm(MOST_SECONDS)
    try:
        return reader(path)
    except InputError:
        return 0
    finally:
        signal.alarm(0)
