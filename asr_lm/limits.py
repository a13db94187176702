"""Limits on what a text, a compressed file or an archive may ask for, checked before memory is taken for it.

A small compressed file can unpack to any size. Each limit can be raised by an environment variable, in bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from asr_lm.errors import InputError


@dataclass(frozen=True)
class Limit:
    """A number of bytes.

    Attributes:
        variable: environment variable that sets another.
        default: without it.
        what: what is limited, in words.
    """

    variable: str
    default: int
    what: str

    def bytes(self) -> int:
        """The limit in force.

        Raises:
            InputError: the variable holds no number above 0.
        """
        value = os.environ.get(self.variable) or str(self.default)
        if not (value.isascii() and value.isdigit() and int(value[:18]) > 0 and len(value) <= 18):
            raise InputError(f"expected a number of bytes above 0, not {value!r}", field=f"${self.variable}")
        return int(value)

    def exceeded(self, file: str, line: int | None = None) -> InputError:
        """The error of a file that goes beyond."""
        message = f"{self.what} beyond {self.bytes():,} bytes; if it is meant so, raise ${self.variable}"
        return InputError(message, file=file, line=line)


LINE = Limit("ASR_LM_MAX_LINE", 2**26, "a line")
"""One line of a text: 64 MiB."""

BLANK = Limit("ASR_LM_MAX_BLANK", 10**6, "blank lines in a row")
"""Lines in a row that hold nothing but white space, their line ends included: a million bytes."""

MEMBER = Limit("ASR_LM_MAX_MEMBER", 2**33, "a file in the archive")
"""One file in an archive of a corpus: 8 GiB."""

UNPACKED = Limit("ASR_LM_MAX_UNPACKED", 2**26, "what a small archive unpacks to")
"""What an archive of a corpus unpacks to, where that is more than 100 times its size: 64 MiB."""

WHOLE = Limit("ASR_LM_MAX_FILE", 2**30, "unpacked, a file that is read as a whole")
"""A file that has to be in memory as a whole, such as a JSON array, decompressed: 1 GiB."""
