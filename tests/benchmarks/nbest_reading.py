"""Reading a canonical list, checks included, against parsing its lines with the standard library alone."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from asr_lm.hypotheses.reading import read_nbest

UTTERANCES = 2_600
HYPOTHESES = 100
WORDS = 20
RUNS = 5
SECONDS = 2.0
"""What a list of this size may take."""


def run() -> list[dict[str, object]]:
    """How many times faster than ``json.loads`` of each line, and than two seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = _listing(Path(folder, "list.jsonl"))
        pairs = [(_seconds(_parse, path), _seconds(_read, path)) for _ in range(RUNS)]
    name = f"reading {UTTERANCES} x {HYPOTHESES} hypotheses of {WORDS} words, JSON Lines"
    against = {
        "json.loads of each line, nothing checked": median(parsing / reading for parsing, reading in pairs),
        f"{SECONDS:g} seconds": median(SECONDS / reading for _, reading in pairs),
    }
    return [{"name": name, "ratio": round(ratio, 2), "against": what, "limit": 1.0} for what, ratio in against.items()]


def _listing(path: Path) -> Path:
    generator = random.Random(1)
    words = ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=generator.randint(1, 9))) for _ in range(5_000)]
    with path.open("w") as stream:
        for number in range(UTTERANCES):
            hypotheses = [
                {
                    "text": " ".join(generator.choices(words, k=WORDS)),
                    "scores": {"acoustic": -100 * generator.random(), "lm": -80 * generator.random()},
                }
                for _ in range(HYPOTHESES)
            ]
            reference = " ".join(generator.choices(words, k=WORDS))
            json.dump({"id": f"utterance-{number}", "reference": reference, "hypotheses": hypotheses}, stream)
            stream.write("\n")
    return path


def _read(path: Path) -> int:
    return sum(len(utterance.hypotheses) for utterance in read_nbest(path))


def _parse(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(len(json.loads(line)["hypotheses"]) for line in stream)


def _seconds(read: Callable[[Path], int], path: Path) -> float:
    start = time.perf_counter()
    assert read(path) == UTTERANCES * HYPOTHESES
    return time.perf_counter() - start


if __name__ == "__main__":
    for line in run():
        print(line)
