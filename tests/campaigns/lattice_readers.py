"""Damaged lattices, tables of words and of references: each is read or refused, and never takes long.

Small whole files are changed by chance: cut, bytes flipped, pieces doubled, swapped or left out, numbers made huge,
bytes put in that mean something to some reader (:mod:`campaigns._fuzzing`).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from campaigns._fuzzing import FileReader, fuzz

from asr_lm.hypotheses.references import read_references
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.reading import read_lattices
from asr_lm.lattice.symbols import read_words
from asr_lm.lattice.writing import write_lattices

_NO_K2 = "k2 cannot be imported"
"""Where it is missing, a file that is refused for that alone has passed everything that looks at it before."""

WORDS = {1: "a", 2: "b", 3: "c"}

_SLF = (
    b"VERSION=1.0\nUTTERANCE=/d/u1.mfc base=2 lmscale=9.5 wdpenalty=-1\nstart=0 end=2\nN=3 L=3\n"
    b'I=0 t=0 W=!NULL\nI=1 t=0.5 W="a\\142" v=1\nI=2 t=1 W=b\n'
    b"J=0 S=0 E=1 a=-1.5 l=-2\nJ=1 S=0 E=2 acoustic=-3 l=-1\nJ=2 S=1 E=2 a=-1 l=-0.5 d=:x,0.1:\n"
)
_TRANSDUCER = b"u1\n0 1 4 1 2.5,10\n1 2 4 0 0,11\n2 3 5 2 1,1\n3 0.5,0.25\n\nu2\n0 1 3 3 1,2\n1\n\n"


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
    return sum(isinstance(item, Lattice) or _NO_K2 in str(item) for item in found)


READERS = {
    "HTK": FileReader(_lattices, lambda: [_SLF, _written("slf")]),
    "Kaldi, binary": FileReader(_lattices, lambda: [_written("kaldi")]),
    "Kaldi, text": FileReader(_lattices, lambda: [_TRANSDUCER, _written("kaldi-text")]),
    "OpenFst": FileReader(_lattices, lambda: [b"0 1 a a 0.5\n0 1 b b 1.5\n1 2 c c\n2 0.25\n", _written("openfst")]),
    "k2, text": FileReader(_lattices, lambda: [b"0 1 30 1 -0.5\n1 2 32 2 0.25\n2 3 -1 -1 -0.125\n3\n", _written("k2")]),
    "k2, saved": FileReader(_lattices, lambda: [_saved()]),
    "words": FileReader(lambda path: len(read_words(path)), lambda: [b"<eps> 0\na 1\nb 2\nc 3\n"]),
    "references": FileReader(lambda path: len(read_references(path)), lambda: [b"u1 good day\nu2\tbye\nu3\n"]),
}


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Read so many damaged files with every reader; a row for each."""
    return fuzz(READERS, inputs, seed)
