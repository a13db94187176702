"""Cost of growth: ``rescore`` of ever longer lists by one process and by one and two workers of Ray on one machine.

``python -m tests.benchmarks.growth 10000 100000`` writes lists as :mod:`tests.benchmarks.memory` makes them, rescores
each with a bigram, intervals and tests included, and prints for each engine the seconds on the clock, those of the
processor (of all processes of the command), the largest resident size of the command and of a worker, and a digest of
the output, which must be the same. Needs the extra ``ray``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.memory import bigram, lines, write
from tests.campaigns.ray_kill import descendants

ENGINES = {
    "one process": (),
    "Ray, one worker": ("--engine", "ray", "--workers", "1"),
    "Ray, two workers": ("--engine", "ray", "--workers", "2"),
}
_LOOK = 0.5
"""Seconds between two looks at the processes."""


@dataclass
class Watched:
    """What the processes of a command have used so far, by their ids.

    Attributes:
        processor: seconds; resident: MiB at most; names: of the programs.
    """

    processor: dict[int, float] = field(default_factory=dict)
    resident: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def look(self, command: int) -> None:
        """See what there is."""
        for pid in (command, *descendants(command)):
            with contextlib.suppress(OSError, IndexError, ValueError, KeyError):
                place = Path(f"/proc/{pid}")
                used = (place / "stat").read_text().rpartition(")")[2].split()[11:13]
                status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
                self.processor[pid] = sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
                self.resident[pid] = int(status["VmHWM"].split()[0]) / 1024
                self.names[pid] = (place / "cmdline").read_bytes().decode(errors="replace")

    def worker(self) -> float:
        """The largest resident size of a worker; 0 where there is none."""
        return max(
            (self.resident[pid] for pid, name in self.names.items() if name.startswith("ray::_Actor")), default=0
        )


def measure(nbest: Path, model: Path, out: Path, engine: tuple[str, ...]) -> tuple[float, float, float, float, str]:
    """Seconds on the clock and of the processor, MiB of the command and of a worker, and a digest of the output."""
    begin, watched = time.monotonic(), Watched()
    given = ("--nbest", nbest, "--lm", model, "--out", out, "--no-cache", "--score-kind", "sum", *engine)
    line = [sys.executable, "-m", "pipelines.rescore", *map(str, given)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        watched.look(process.pid)
        time.sleep(_LOOK)
    assert process.returncode == 0, line
    seconds = time.monotonic() - begin
    with out.open("rb") as stream:
        digest = hashlib.file_digest(stream, "blake2b").hexdigest()[:12]
    return seconds, sum(watched.processor.values()), watched.resident[process.pid], watched.worker(), digest


def main() -> None:
    """Print a row for each number of utterances and each engine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = bigram(folder)
        for number in map(int, sys.argv[1:]):
            nbest = write(folder / f"{number}.jsonl", lines(number))
            for engine, options in ENGINES.items():
                clock, used, command, worker, digest = measure(nbest, model, folder / "out.jsonl", options)
                print(
                    f"| {number:,} | {engine} | {clock:.0f} s | {used:.0f} s | {command:.0f} MiB | {worker:.0f} MiB "
                    f"| {digest} |",
                    flush=True,
                )
            nbest.unlink()


if __name__ == "__main__":
    main()
