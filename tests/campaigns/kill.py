"""Commands ended at random moments by kill -9, Ctrl-C and SIGTERM, and given again: all is as if nothing had been.

A fault is a result that is not the undisturbed run's, an ending that leaves something half written (kill -9 may, until
the command is given again), a traceback, or an exit code that is not the signal's.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from campaigns._commands import MODELS, call, each_command, half_written, left, own_folder
from toy_language import started

MOST_SECONDS = 120
HANGS = 999

_CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 143}
MOST = 50
"""Moments for each command and signal."""


def run(
    inputs: int, seed: int, commands: Sequence[str] = (), models: Sequence[str] = MODELS
) -> Iterator[dict[str, Any]]:
    """End each command at so many moments (:data:`MOST` at most) with each signal; a row for both.

    Args:
        inputs: moments.
        seed: of what is drawn.
        commands: some only.
        models: that these need.
    """
    for command, line, place in each_command(commands, models):
        whole = _whole(line, place / "whole")
        for how in _CODES:
            yield _row(command, line, how, min(inputs, MOST), seed, place / how.name, *whole)


def _whole(line: tuple[object, ...], folder: Path) -> tuple[float, dict[str, str]]:
    """How long an undisturbed run takes, and what it leaves."""
    with own_folder(folder):
        begin = time.monotonic()
        whole_run = started(*line)  # type: ignore[arg-type]
        whole_run.join()
        assert whole_run.exitcode == 0, Path("err.txt").read_text()
        return time.monotonic() - begin, left(Path.cwd())


def _row(
    command: str,
    line: tuple[object, ...],
    how: signal.Signals,
    inputs: int,
    seed: int,
    place: Path,
    seconds: float,
    whole: dict[str, str],
) -> Any:
    place.mkdir()
    chance, faults, ended, half = random.Random(f"{seed} {command} {how}"), [], 0, 0
    for number in range(inputs):
        with own_folder(place / str(number)):
            moment = chance.uniform(0, 1.1 * seconds)
            code = _ended(line, how, moment)
            ended += code != 0
            half += bool(half_written(Path.cwd()))
            faults += [f"after {moment:.3f} s of {seconds:.3f}: {fault}" for fault in _faults(line, how, code, whole)]
    row = {"command": command, "signal": how.name, "moments": inputs, "ended": ended, "left half": half}
    return row | {"faults": faults}


def _ended(line: tuple[object, ...], how: signal.Signals, moment: float) -> int:
    process = started(*line)  # type: ignore[arg-type]
    time.sleep(moment)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, how)
    process.join(MOST_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return HANGS
    return process.exitcode


def _faults(line: tuple[object, ...], how: signal.Signals, code: int, whole: dict[str, str]) -> list[str]:
    faults, said = [], Path("err.txt").read_text() if Path("err.txt").exists() else ""
    # A signal before the command has begun, or after its end, meets Python itself.
    if code not in (0, _CODES[how], -how) and (said or code == HANGS):
        faults.append(f"exit code {code}: {said[-300:]}")
    if "Traceback" in said:
        faults.append(f"traceback: {said[-300:]}")
    if how != signal.SIGKILL and (found := half_written(Path.cwd())):
        faults.append(f"half written: {found}")
    again = call(*line)  # type: ignore[arg-type]
    if again.code:
        return [*faults, f"given again: exit code {again.code}: {again.err[-300:]}"]
    found, lines = left(Path.cwd()), half_written(Path.cwd())
    if found != whole:
        differ = sorted(name for name in {*found, *whole} if found.get(name) != whole.get(name))
        faults.append(f"given again: other than undisturbed: {differ}")
    return [*faults, *([f"given again: half written: {lines}"] if lines else [])]
