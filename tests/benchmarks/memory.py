"""Memory of ``rescore`` on long lists: it must not grow with the list.

Lists of 10 hypotheses an utterance, as JSON Lines with references, are rescored with a bigram in a process of its own;
what is printed is the largest resident size of that process and its time. ``python -m tests.benchmarks memory``
measures 10,000 and 100,000 utterances; ``python -m tests.benchmarks.memory 1000000`` any other number.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ON_REQUEST = True  # a long list takes minutes

HYPOTHESES = 10
SMALL, LARGE = 10_000, 100_000
LIMIT = 0.8
"""The short list's memory over the long one's, at least: what grows is 16 to 32 bytes an id, and buffers."""


def words(count: int = 5_000) -> list[str]:
    """Words of two to four syllables."""
    chance, syllables = random.Random(1), [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    return sorted({"".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(count)})


def sentences(count: int) -> Iterator[list[str]]:
    """Sentences of 3 to 15 words, each drawn by a law like Zipf's."""
    chance, known = random.Random(2), words()
    for _ in range(count):
        yield [known[min(int(chance.paretovariate(0.8)) - 1, len(known) - 1)] for _ in range(chance.randint(3, 15))]


def lines(count: int) -> Iterator[bytes]:
    """Utterances of a list as JSON Lines; no two of them are the same, nor are their hypotheses."""
    chance, known = random.Random(3), words()
    for number, said in enumerate(sentences(count)):
        hypotheses = []
        for rank in range(HYPOTHESES):
            heard = list(said)
            for place in range(len(heard)):
                if chance.random() < 0.08 * (1 + rank / 4):
                    heard[place] = chance.choice(known)
            score = -2.0 * len(said) - rank * chance.random()
            hypotheses.append({"text": " ".join(heard), "scores": {"acoustic": round(score, 3)}})
        utterance = {"id": f"talk-{number // 500:06d}-{number:09d}", "reference": " ".join(said)}
        yield json.dumps({**utterance, "hypotheses": hypotheses}).encode() + b"\n"


def write(path: Path, some: Iterable[bytes]) -> Path:
    """Write lines to a file."""
    with path.open("wb") as stream:
        stream.writelines(some)
    return path


def command(name: str, *arguments: object) -> tuple[float, float]:
    """Run a command of the package; its largest resident size in MiB, and seconds."""
    begin = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    called = [sys.executable, "-m", f"pipelines.{name}", *map(str, arguments)]
    process = subprocess.Popen(called, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(called)}: exit code {process.returncode}")
    # Kilobytes on Linux, bytes elsewhere.
    return usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2), time.monotonic() - begin


def bigram(folder: Path) -> Path:
    """A bigram of sentences like those of the lists."""
    text = write(folder / "train.txt", (" ".join(said).encode() + b"\n" for said in sentences(20_000)))
    command("train", "ngram", "--text", text, "--out", folder / "bigram", "--order", 2)
    return folder / "bigram"


def measure(count: int, folder: Path, model: Path) -> tuple[float, float]:
    """Peak memory in MiB and seconds of rescoring so many utterances."""
    nbest = write(folder / f"{count}.jsonl", lines(count))
    out, record = folder / "out.jsonl", folder / "record.json"
    found = command("rescore", "--nbest", nbest, "--lm", model, "--out", out, "--json", record, "--no-cache")
    known = json.loads(record.read_text())
    assert known["utterances"] == known["with_reference"] == count
    assert known["rescored"]["interval"] is not None
    size = nbest.stat().st_size / 2**20
    print(f"  {count:,} x {HYPOTHESES} ({size:,.0f} MiB): peak {found[0]:.0f} MiB, {found[1]:.0f} s", flush=True)
    nbest.unlink()
    return found


def run() -> list[dict[str, object]]:
    """How much less the short list takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = bigram(folder)
        small, _ = measure(SMALL, folder, model)
        large, seconds = measure(LARGE, folder, model)
    return [
        {
            "name": "memory of a list ten times as long",
            "ratio": small / large,
            "against": f"that of {SMALL:,} utterances",
            "limit": LIMIT,
            "notes": f"({small:.0f} MiB, {large:.0f} MiB; {LARGE:,} utterances in {seconds:.0f} s)",
        }
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        language_model = bigram(Path(place))
        for number in sys.argv[1:]:
            measure(int(number), Path(place), language_model)
    print(f"  (this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB)")
