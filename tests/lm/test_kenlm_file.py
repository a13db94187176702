"""KenLM's binary files from strangers: whatever they hold, the process lives and says what is wrong."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.ngrams import kenlm_file

pytest.importorskip("kenlm")

PROBING, TRIE = 0, 2


def binary(path: Path, kind: int, counts: Sequence[int], body: bytes, version: int = 0) -> Path:
    """A file with a header that KenLM takes for its own (lm/binary_format.hh), and any body."""
    magic = b"mmap lm http://kheafield.com/code format version 5\n\0".ljust(56, b"\0")
    sanity = magic + struct.pack("<3f3IQ", 0, 1, -0.5, 1, 0xFFFFFFFF, 0, 1)
    sizes = struct.pack(f"<B3xfi?3xI{len(counts)}Q", len(counts), 1.5, kind, False, version, *counts)
    header = sanity + sizes
    path.write_bytes(header + bytes(-len(header) % 8) + body)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        NgramModel.load(path)
    assert caught.value.file == str(path)
    return caught.value.message


def test_a_file_that_ends_kenlms_process(tmp_path: Path) -> None:
    """Seen with KenLM 0.3.0: SIGSEGV or SIGBUS while it opens a trie."""
    path = binary(tmp_path / "m.bin", TRIE, [1000, 1000], bytes(range(256)) * 250, version=1)
    assert refusal(path) == "damaged: KenLM breaks down over this model"


def test_a_file_that_kenlm_never_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash table without a free place is searched for ever."""
    monkeypatch.setattr(kenlm_file, "_TRIAL_SECONDS", 1)
    body = struct.pack("<II", 0, 4) + struct.pack("<f", float("nan")) * 15_000
    path = binary(tmp_path / "m.bin", PROBING, [4, 2], body)
    assert refusal(path) == "damaged: KenLM does not finish reading this model in 1 s"


@pytest.mark.parametrize("score", ["float('nan')", "float('-inf')", "0.5"])
def test_scores_that_are_no_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: str) -> None:
    trial = kenlm_file._TRIAL.replace('model.score("a <unk> b")', score)
    monkeypatch.setattr(kenlm_file, "_TRIAL", trial)
    path = binary(tmp_path / "m.bin", PROBING, [4, 2], struct.pack("<II", 0, 4) + bytes(60_000))
    assert "the logarithm" in refusal(path)


def test_headers_that_claim_too_much(tmp_path: Path) -> None:
    for counts in ([10**15, 2], [2**63, 2**63], [1 << 40]):
        path = binary(tmp_path / "m.bin", PROBING, counts, bytes(1000))
        assert refusal(path) == "damaged: the header claims more than the file can hold"


@pytest.mark.parametrize("seed", range(12))
def test_any_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A result or a refusal; a process that ends would take the test with it."""
    monkeypatch.setattr(kenlm_file, "_TRIAL_SECONDS", 1)
    chance = random.Random(seed)
    counts = [chance.choice([4, 20, 1000]) for _ in range(chance.choice([1, 2, 3, 5]))]
    fill = chance.choice([b"\0", b"\xff", chance.randbytes(40), bytes(range(256))])
    body = (fill * 60_000)[: chance.choice([0, 10, 3000, 60_000])]
    path = binary(tmp_path / "m.bin", chance.randrange(6), counts, body, version=chance.randrange(2))
    with contextlib.suppress(InputError):
        NgramModel.load(path)
