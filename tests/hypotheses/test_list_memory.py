"""JSON Lines stream: memory does not grow with the number of utterances."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.writing import write_nbest

ID_BYTES = 200
"""More than an id of five digits takes in the dictionary that finds duplicates."""


def listing(path: Path, number: int) -> Path:
    hypotheses = [{"text": f"some words of hypothesis {n} " * 5, "scores": {"acoustic": -1.5 * n}} for n in range(5)]
    with path.open("w") as stream:
        stream.writelines(json.dumps({"id": f"{n:05d}", "hypotheses": hypotheses}) + "\n" for n in range(number))
    return path


def peak(source: Path, target: Path) -> int:
    tracemalloc.start()
    try:
        write_nbest(target, read_nbest(source))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_peak_memory_of_reading_and_writing_is_flat(tmp_path: Path) -> None:
    few, many = listing(tmp_path / "few", 2_000), listing(tmp_path / "many", 20_000)
    ids = 18_000 * ID_BYTES
    peak(few, tmp_path / "copy.jsonl")
    assert peak(many, tmp_path / "copy.jsonl") - peak(few, tmp_path / "copy.jsonl") < ids
    assert many.stat().st_size > 4 * ids
