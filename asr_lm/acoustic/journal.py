"""What a decoding has finished, kept so that a killed one goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance


class Recognised(msgspec.Struct, frozen=True):
    """A recognised utterance, and how many seconds of its recording's file lie before it."""

    utterance: Utterance
    offset: float = 0.0


class _Entry(msgspec.Struct, frozen=True):
    source: str
    recognised: list[Recognised]


class Journal:
    """A file with a line for every finished source, the first saying what is being done.

    Args:
        path: begun anew where it is missing, or was written for another job.
        job: what is being done; anything JSON can hold.
    """

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self.path = path
        self._places: dict[str, int] = {}
        head = json.dumps(job, sort_keys=True).encode() + b"\n"
        try:
            complete = self._resumed(head) if path.exists() else 0
            self._stream = path.open("r+b" if complete else "w+b")
            self._stream.truncate(complete)
            self._stream.seek(complete)
            if not complete:
                self._stream.write(head)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", file=path) from None

    def _resumed(self, head: bytes) -> int:
        """Take over the complete lines; the length of them, 0 where the job is another."""
        place = 0
        with self.path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n") or (place == 0 and line != head):
                    break
                if place:
                    self._places[msgspec.json.decode(line, type=_Entry).source] = place
                place += len(line)
        return place

    def __contains__(self, source: str) -> bool:
        return source in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, source: str, recognised: Sequence[Recognised]) -> None:
        """A source is finished."""
        self._places[source] = self._stream.tell()
        self._stream.write(msgspec.json.encode(_Entry(source, list(recognised))) + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def read(self, sources: Iterable[str]) -> Iterator[Recognised]:
        """The utterances of those sources that are finished, in the order of the sources."""
        with self.path.open("rb") as stream:
            for source in sources:
                if source in self._places:
                    stream.seek(self._places[source])
                    yield from msgspec.json.decode(stream.readline(), type=_Entry).recognised

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it where everything is written elsewhere."""
        self._stream.close()
        if remove:
            self.path.unlink(missing_ok=True)
