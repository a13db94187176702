"""What comes out of a compressed archive, read forwards and within limits.

``tarfile`` takes time and memory by what an archive claims: it reads on and on where a file ends before its size, and
it looks for a field of the extended headers in a time that grows with the square of their length (CVE-2024-6232, in
Python before 3.11.10 and 3.12.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, Self, cast

from asr_lm.errors import InputError
from asr_lm.limits import UNPACKED

MOST_FACTS = 1 << 16
"""Bytes of names and other facts about one entry: many times what the names of files may have."""

_MOST_TIMES = 100
_BLOCK = 1 << 20
_SLOW = re.compile(rb"\d{257}|hdrcharset=.*hdrcharset=", re.DOTALL)
"""Digits beyond the length of a name, and a field twice: what the search for that field takes long for."""


@dataclass
class Allowance:
    """Bytes that an archive, with the archives in it, may still unpack to.

    Attributes:
        most: 100 times the size of the file, and :data:`asr_lm.limits.UNPACKED` where that is more.
    """

    most: int
    taken: int = 0

    @classmethod
    def of(cls, size: int) -> Allowance:
        """That of a file of so many bytes."""
        return cls(max(_MOST_TIMES * size, UNPACKED.bytes()))

    def take(self, size: int) -> None:
        """Count bytes that came out.

        Raises:
            InputError: there are more of them than may be.
        """
        self.taken += size
        if self.taken > self.most:
            raise InputError(
                f"unpacks to more than {self.most:,} bytes, beyond {_MOST_TIMES} times its size; if it is meant so, "
                f"raise ${UNPACKED.variable}"
            )


class Unpacked:
    """A stream of bytes that ``tarfile`` reads.

    Args:
        stream: what is unpacked.
        allowance: of the whole archive.
    """

    def __init__(self, stream: object, allowance: Allowance) -> None:
        self._stream = cast(IO[bytes], stream)
        self._allowance = allowance
        self._place = 0
        self._facts_follow = False

    def within(self, stream: object) -> Self:
        """An archive in this one."""
        return type(self)(stream, self._allowance)

    def tell(self) -> int:
        """Bytes that were read."""
        return self._place

    def read(self, size: int) -> bytes:
        """As many bytes, fewer at the end alone.

        Raises:
            InputError: too many bytes, or facts that are none.
        """
        found = self._stream.read(size)
        self._allowance.take(len(found))
        self._place += len(found)
        if self._facts_follow and _SLOW.search(found):
            raise InputError("damaged archive: an entry has facts about it that are none")
        self._facts_follow = False
        return found

    def seek(self, place: int) -> None:
        """Read on up to a place.

        Raises:
            EOFError: the end comes before.
        """
        while self._place < place:
            if not self.read(min(_BLOCK, place - self._place)):
                raise EOFError("it ends before what it promises")

    def expect_facts(self, size: int) -> None:
        """What is read next are so many bytes of facts about an entry.

        Raises:
            InputError: they are too many.
        """
        if size > MOST_FACTS:
            raise InputError(f"an entry with {size:,} bytes of facts about it; at most {MOST_FACTS:,} are read")
        self._facts_follow = True

    def finish(self) -> None:
        """Read up to the end, where the checksum of a gzip stream stands."""
        while self.read(_BLOCK):
            pass
