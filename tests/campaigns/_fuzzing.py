"""Whole files changed by chance, given to a reader again and again in a process of its own.

A fault is an exception other than ``InputError``, an end of the process, more than :data:`MOST_SECONDS` for one input,
or what the reader's own check says.
"""

from __future__ import annotations

import multiprocessing
import random
import re
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from asr_lm.errors import InputError

MOST_SECONDS = 5
"""Of the processor for one input; no file of the campaigns has a megabyte."""

_MOST_FAULTS = 20
_HUGE = (b"999999999", b"2147483648", b"9" * 30, b"9" * 5000, b"-1", b"1e999", b"nan", b"-inf", b"0x10", b"1_0", b"")
_PIECES = (
    *(b"\n", b"\n\n", b"\0", b"\xff", b"\xef\xbb\xbf", b" ", b"\t", b"=", b'"', b"\\", b"\\0", b",", b"#", b"\x1f\x8b"),
    *(b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\0B", b"I=", b"J=0 S=0 E=0", b"-1", b"\xe2\x80\xa8", b"\xff\xff\xff\x7f"),
    *(b"[", b"]", b"{", b"}", b"[" * 2000, b'{"a":' * 2000, b"null", b"true", b"1e400", b"\\ud800", b"\xed\xa0\x80"),
    *(b"9" * 60_000, b" " * 60_000, b"a" * 60_000, b"a " * 30_000, b"." * 60_000, b"\t" * 60_000, b"(" * 60_000),
    *(b"()", b"|", b"@", b"{ a / b }", b"../", b"/", b"~", b"a" * 3000, b"\r", b"\r\n", b"\x85", b"\xc2\xa0", b"<unk>"),
)


@dataclass(frozen=True)
class Reader:
    """What is given damaged files.

    Attributes:
        read: reads a file; what it gives is how much of it was read, 0 where all of it is refused. It raises
            AssertionError where what was read cannot be right.
        whole: makes whole files.
        name: of the file.
        share: of the inputs, where each takes long.
    """

    read: Callable[[Path], int]
    whole: Callable[[], Sequence[bytes]]
    name: str = "u.1"
    share: float = 1.0


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


def fuzz(readers: Mapping[str, Reader], inputs: int, seed: int) -> list[dict[str, Any]]:
    """Give every reader so many damaged files.

    Returns:
        A row for each reader: how many were read, at least in part, and refused, the longest time, inputs a second,
        the memory that reading added, and the faults.
    """
    return [_row(name, reader, max(1, round(reader.share * inputs)), seed) for name, reader in readers.items()]


def _row(name: str, reader: Reader, inputs: int, seed: int) -> dict[str, Any]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # A fork has everything imported already.
    process = multiprocessing.get_context("fork").Process(target=_child, args=(name, reader, inputs, seed, sender))
    process.start()
    sender.close()
    number, row = -1, None
    try:
        while row is None:
            number, row = receiver.recv()
    except EOFError:
        process.join()
        fault = f"input {number} of seed {seed}: the process ended with {process.exitcode}"
        return {"reader": name, "inputs": inputs, "read": 0, "refused": 0, "faults": [fault]}
    process.join()
    return row


def _child(name: str, reader: Reader, inputs: int, seed: int, sender: Connection) -> None:
    signal.signal(signal.SIGVTALRM, _too_long)
    whole, begin, before = reader.whole(), time.perf_counter(), _peak()
    counts, slowest, faults = {"read": 0, "refused": 0}, 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.name
        for number in range(inputs):
            sender.send((number, None))
            chance = random.Random(f"{seed} {name} {number}")
            path.write_bytes(mutated(chance.choice(whole), chance))
            started = time.process_time()
            outcome = _outcome(reader, path)
            slowest = max(slowest, time.process_time() - started)
            if outcome in counts:
                counts[outcome] += 1
            else:
                faults.append(f"input {number} of seed {seed}: {outcome} in {path.read_bytes()[:200]!r}")
    told = {"slowest": f"{slowest:.2f} s", "a second": round(inputs / (time.perf_counter() - begin))}
    row = {"reader": name, "inputs": inputs, **counts, **told, "memory": f"{_peak() - before} MiB"}
    sender.send((inputs, row | {"faults": faults[:_MOST_FAULTS]}))


def _outcome(reader: Reader, path: Path) -> str:
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        return "read" if reader.read(path) else "refused"
    except InputError as error:
        return "refused" if error.message else "refused without a word"
    except Exception as error:  # whatever it is, it is a fault
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} seconds")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
