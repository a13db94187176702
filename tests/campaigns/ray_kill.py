"""``rescore --engine ray`` with two workers, of which one, or the command itself, is ended by kill -9 at any moment.

The list is the sample's, the model the packaged one, whose scores depend on which rows are scored together. A command
that was ended is given again. A fault is a result that is not, byte for byte, that of one undisturbed process (a row
that is lost or comes twice, other scores), an exit code that is not 0, a worker that outlives the command, and a file
that is left over. Needs the extra ``ray``.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.hypotheses.reading import read_nbest

ROOT = Path(__file__).parents[2]
UTTERANCES, HYPOTHESES = 60, 150
"""Of the sample's list, each of 50 hypotheses, and of a part: 20 parts."""

MOST_SECONDS = 300
_END = 30
"""Seconds that the processes of a command have to end after it. Ray's own agents, which look once a minute whether
anybody needs them, have longer."""

_CODE = """
import sys
from asr_lm.rescoring.scoring import scorer
from pipelines.command import run
from pipelines.rescore import main
scorer.SHARD_HYPOTHESES = int(sys.argv.pop(1))
run(main)
"""


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """End a worker at so many moments, then the command at as many; a row for both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nbest = folder / "list.jsonl"
        lists = islice(read_nbest(ROOT / "data/sample/test.json"), UTTERANCES)
        nbest.write_bytes(b"".join(msgspec.json.encode(utterance) + b"\n" for utterance in lists))
        whole, _ = _whole(nbest, folder / "one.jsonl")
        again, seconds = _whole(nbest, folder / "two.jsonl", *_RAY)
        assert again == whole, "the engine's result is another one before anything is ended"
        for target in ("worker", "command"):
            yield _row(target, nbest, whole, seconds, inputs, random.Random(f"{seed} {target}"), folder)


_RAY = ("--engine", "ray", "--workers", "2")


def _started(nbest: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    given = ["--nbest", nbest, "--out", out, "--no-cache", "--score-kind", "sum", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with out.with_suffix(".err").open("ab") as err:
        line = [sys.executable, "-c", _CODE, str(HYPOTHESES), *map(str, given)]
        return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=err)


def _whole(nbest: Path, out: Path, *options: str) -> tuple[bytes, float]:
    begin = time.monotonic()
    code = _started(nbest, out, *options).wait(MOST_SECONDS)
    assert code == 0, out.with_suffix(".err").read_text()
    return out.read_bytes(), time.monotonic() - begin


def _row(
    target: str, nbest: Path, whole: bytes, seconds: float, inputs: int, chance: random.Random, folder: Path
) -> dict[str, Any]:
    faults, ended, taken_up = [], 0, 0
    for number in range(inputs):
        out, moment = folder / f"{target}-{number}.jsonl", chance.uniform(0, seconds)
        process = _started(nbest, out, *_RAY)
        time.sleep(moment)
        born = descendants(process.pid)
        killed = _killed(process, target, chance)
        ended += killed
        code = process.wait(MOST_SECONDS)
        found = _left_of(born) if target == "command" else []
        if code != 0 and killed and target == "command":
            taken_up += Path(f"{out}.unfinished").exists()
            code = _started(nbest, out, *_RAY).wait(MOST_SECONDS)
        found += [f"exit code {code}: {out.with_suffix('.err').read_text()[-300:]}"] if code else []
        found += [] if out.exists() and out.read_bytes() == whole else ["another result than undisturbed"]
        found += [f"left over: {path.name}" for path in folder.glob(f"{out.name}.*")]
        faults += [f"after {moment:.2f} s of {seconds:.2f}: {fault}" for fault in found]
    row = {"command": "rescore --engine ray", "ended": target, "moments": inputs, "ended before their end": ended}
    return row | {"with parts to take up": taken_up, "faults": faults}


def _killed(process: subprocess.Popen[bytes], target: str, chance: random.Random) -> bool:
    """End one; a worker that is not there yet is waited for. Whether there was one to end."""
    while process.poll() is None:
        if target == "command":
            process.kill()
            return True
        workers = [pid for pid in descendants(process.pid) if _command_of(pid).startswith("ray::_Actor")]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
                return True
        time.sleep(0.1)
    return False


def _left_of(processes: list[int]) -> list[str]:
    """Processes of a command that do not end after it; they are ended."""
    end, left = time.monotonic() + _END, processes
    while left and time.monotonic() < end:
        time.sleep(0.2)
        left = [pid for pid in processes if (command := _command_of(pid)) and "Agent" not in command]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"outlives the command: {_command_of(pid)[:60]}" for pid in left]


def _command_of(pid: int) -> str:
    """The command line of a process; nothing of one that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
    return ""


def descendants(pid: int) -> list[int]:
    """The processes below one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found, below = [], {pid}
    while below := {child for child, parent in parents.items() if parent in below}:
        found += sorted(below)
    return found
