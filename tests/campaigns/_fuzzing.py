"""Whole files and folders changed by chance, given to a reader again and again in a process of its own.

A fault is an exception other than ``InputError``, an end of the process, more than :data:`MOST_SECONDS` of the
processor for one input, no outcome after :data:`HANGS_AFTER`, or what the reader's own check says.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import re
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from asr_lm.errors import InputError

MOST_SECONDS = 1.0
"""Of the processor for one input; none of the campaigns has a megabyte."""

HANGS_AFTER = 120
"""Seconds by the clock: an input that waits takes nothing of the processor."""

_MOST_FAULTS = 20
_GIVEN_UP = 20
"""Times what one input may take: how long it really takes is of use to know."""

_HUGE = (b"999999999", b"2147483648", b"9" * 30, b"9" * 5000, b"-1", b"1e999", b"nan", b"-inf", b"0x10", b"1_0", b"")
_PIECES = (
    *(b"\n", b"\n\n", b"\0", b"\xff", b"\xef\xbb\xbf", b" ", b"\t", b"=", b'"', b"\\", b"\\0", b",", b"#", b"\x1f\x8b"),
    *(b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\0B", b"I=", b"J=0 S=0 E=0", b"-1", b"\xe2\x80\xa8", b"\xff\xff\xff\x7f"),
    *(b"[", b"]", b"{", b"}", b"[" * 2000, b'{"a":' * 2000, b"null", b"true", b"1e400", b"\\ud800", b"\xed\xa0\x80"),
    *(b"9" * 60_000, b" " * 60_000, b"a" * 60_000, b"a " * 30_000, b"." * 60_000, b"\t" * 60_000, b"(" * 60_000),
    *(b"()", b"|", b"@", b"{ a / b }", b"../", b"/", b"~", b"a" * 3000, b"\r", b"\r\n", b"\x85", b"\xc2\xa0", b"<unk>"),
)


class Reader(Protocol):
    """What is given damaged inputs.

    Attributes:
        share: of the inputs, where each takes long.
    """

    @property
    def share(self) -> float: ...

    def prepare(self, folder: Path) -> Callable[[random.Random], Path]:
        """Make whole inputs in a folder; what is given damages one of them and says where it lies."""

    def read(self, path: Path) -> int:
        """Read an input.

        Returns:
            How much of it was read, 0 where all of it is refused.

        Raises:
            InputError: it is refused.
            AssertionError: what was read cannot be right.
        """


@dataclass(frozen=True)
class FileReader:
    """What reads a file, and what makes whole ones.

    Attributes:
        name: of the file.
    """

    reader: Callable[[Path], int]
    whole: Callable[[], Sequence[bytes]]
    name: str = "u.1"
    share: float = 1.0

    def prepare(self, folder: Path) -> Callable[[random.Random], Path]:
        whole, path = self.whole(), folder / self.name
        for content in whole:  # what is imported at the first need is not the first input's
            path.write_bytes(content)
            with contextlib.suppress(InputError):
                self.reader(path)

        def damage(chance: random.Random) -> Path:
            path.write_bytes(mutated(chance.choice(whole), chance))
            return path

        return damage

    def read(self, path: Path) -> int:
        return self.reader(path)


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


@dataclass
class _Found:
    """Outcomes of a reader's inputs so far."""

    done: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    memory: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, outcome: str, seconds: float = 0.0, memory: int = 0) -> None:
        self.read += outcome == "read"
        self.refused += outcome == "refused"
        if outcome not in ("read", "refused"):
            self.faults.append(f"input {self.done}: {outcome}")
        self.slowest, self.memory = max(self.slowest, seconds), max(self.memory, memory)
        self.done += 1


def fuzz(readers: Mapping[str, Reader], inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Give every reader so many damaged inputs.

    Yields:
        A row for each reader: how many were read, at least in part, and refused, the longest time, inputs a second,
        the memory that reading added, and the faults.
    """
    for name, reader in readers.items():
        yield _row(name, reader, max(1, round(reader.share * inputs)), seed)


def _row(name: str, reader: Reader, inputs: int, seed: int) -> dict[str, Any]:
    found, begin = _Found(), time.perf_counter()
    while found.done < inputs and len(found.faults) < _MOST_FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            _some(name, reader, range(found.done, inputs), seed, Path(folder), found)
    told = {"slowest": f"{found.slowest:.2f} s", "a second": round(found.done / (time.perf_counter() - begin))}
    row = {"reader": name, "inputs": found.done, "read": found.read, "refused": found.refused, **told}
    return row | {"memory": f"{found.memory} MiB", "faults": found.faults}


def _some(name: str, reader: Reader, numbers: range, seed: int, folder: Path, found: _Found) -> None:
    """Go through inputs until the end of them, or of the process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    draws = (random.Random(f"{seed} {name} {number}") for number in numbers)
    # A fork has everything imported already.
    arguments = (reader, reader.prepare(folder), draws, sender)
    process = multiprocessing.get_context("fork").Process(target=_child, args=arguments)
    process.start()
    sender.close()
    try:
        while found.done < numbers.stop:
            if not receiver.poll(HANGS_AFTER):
                found.add(f"no outcome after {HANGS_AFTER} s")
                process.kill()
                break
            found.add(*receiver.recv())
    except EOFError:
        process.join()
        found.add(f"the process ended with {process.exitcode}")
    process.join()


def _child(
    reader: Reader, damage: Callable[[random.Random], Path], draws: Iterator[random.Random], sender: Connection
) -> None:
    signal.signal(signal.SIGPROF, _too_long)
    before = _peak()
    for chance in draws:
        path = damage(chance)
        begin = time.process_time()
        outcome = _outcome(reader, path)
        sender.send((outcome, time.process_time() - begin, _peak() - before))


def _outcome(reader: Reader, path: Path) -> str:
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, _GIVEN_UP * MOST_SECONDS)
    try:
        outcome = "read" if reader.read(path) else "refused"
    except InputError as error:
        outcome = "refused" if error.message else "refused without a word"
    except (Exception, _TooLong) as error:  # whatever it is, it is a fault
        outcome = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if (seconds := time.process_time() - begin) > MOST_SECONDS:
        outcome = f"{outcome} after {seconds:.1f} s"
    return outcome if outcome in ("read", "refused") else f"{outcome} in {_beginning(path)!r}"


def _beginning(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return stream.read(200)


class _TooLong(BaseException):
    """No ``Exception``, which a reader might take for one of its own."""


def _too_long(*_: object) -> None:
    raise _TooLong


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
