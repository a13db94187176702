"""Commands on a disk that gets full: one line and exit code 2, nothing half written, and all is well with space again.

Every other time files may not grow beyond some size, else from some file on nothing reaches the disk.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from campaigns._commands import MODELS, call, each_command, half_written, left, own_folder

MOST = 50
"""Disks for each command."""

_UNFINISHED = (
    *("checkpoint.safetensors", "corpus", "pairs", "words.txt", "tokens.model", "sentences.hashes", "training.jsonl"),
    "o.jsonl.unfinished",
)
"""What a training or a decoding goes on from."""


def run(
    inputs: int, seed: int, commands: Sequence[str] = (), models: Sequence[str] = MODELS
) -> Iterator[dict[str, Any]]:
    """Run each command on so many disks (:data:`MOST` at most); a row for each.

    Args:
        inputs: disks.
        seed: of what is drawn.
        commands: some only.
        models: that these need.
    """
    for command, line, place in each_command(commands, models):
        yield _row(command, line, min(inputs, MOST), seed, place)


def _row(command: str, line: tuple[object, ...], inputs: int, seed: int, place: Path) -> dict[str, Any]:
    with own_folder(place / "whole"):
        assert call(*line).code == 0  # type: ignore[arg-type]
        whole, sizes = left(Path.cwd()), [path.stat().st_size for path in Path.cwd().rglob("*") if path.is_file()]
    chance, faults, refused = random.Random(f"{seed} {command}"), [], 0
    for number in range(inputs):
        with own_folder(place / str(number)):
            size = chance.choice([0, 1, chance.choice(sizes) // 2, chance.choice(sizes) - 1]) if number % 2 else None
            files = None if number % 2 else chance.randrange(len(sizes) + 1)
            code = _on_full_disk(line, size, files)
            refused += code != 0
            what = f"files of {size} bytes" if files is None else f"{files} files"
            faults += [f"room for {what}: {fault}" for fault in _faults(line, code, whole)]
    return {"command": command, "disks": inputs, "refused": refused, "faults": faults}


def _on_full_disk(line: tuple[object, ...], size: int | None, files: int | None) -> int:
    def child() -> None:
        _fill(size, files)
        finished = call(*line)  # type: ignore[arg-type]
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        Path("err.txt").write_text(finished.err)
        os._exit(finished.code)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _fill(size: int | None, files: int | None) -> None:
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    synchronise, done = os.fsync, [0]

    def fsync(descriptor: int) -> None:
        done[0] += 1
        if files is not None and done[0] > files:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synchronise(descriptor)

    os.fsync = fsync


def _faults(line: tuple[object, ...], code: int, whole: dict[str, str]) -> list[str]:
    said, faults = Path("err.txt").read_text() if Path("err.txt").exists() else "", []
    if code not in (0, 2):
        faults.append(f"exit code {code}")
    if "Traceback" in said or (code == 2 and not said.splitlines()[-1].startswith("error: ")):
        faults.append(f"said {said[-300:]!r}")
    if found := half_written(Path.cwd()):
        faults.append(f"half written: {found}")
    for name, digest in left(Path.cwd()).items():
        is_unfinished = any(part in _UNFINISHED for part in Path(name).parts)
        if whole.get(name) != digest and not is_unfinished:
            faults.append(f"not as it should be: {name}")
    again = call(*line)  # type: ignore[arg-type]
    if again.code or left(Path.cwd()) != whole:
        faults.append(f"with space again: exit code {again.code}, {again.err[-300:]!r}")
    return faults
