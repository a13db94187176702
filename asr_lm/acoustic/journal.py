"""What a decoding has finished, kept so that a killed one goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Utterance


class Recognised(msgspec.Struct, frozen=True):
    """A recognised utterance.

    Attributes:
        utterance: its list.
        offset: seconds of its recording's file before it.
        lattice_errors: the fewest errors of a path of its lattice, where there is one and a reference.
    """

    utterance: Utterance
    offset: float = 0.0
    lattice_errors: int | None = None


class _Entry(msgspec.Struct, frozen=True):
    source: str
    number: int
    of: int
    recognised: Recognised


class Journal:
    """A file with a line for every recognised segment of a source, the first saying what is being done.

    Args:
        path: begun anew where it is missing, or was written for another job.
        job: what is being done; anything JSON can hold.
    """

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self.path = path
        self._places: dict[str, dict[int, int]] = {}
        self._counts: dict[str, int] = {}
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
        """Take over the complete lines before the first damaged one; their length, 0 where the job is another."""
        place = 0
        with self.path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n") or (place == 0 and line != head):
                    break
                if place:
                    try:
                        entry = msgspec.json.decode(line, type=_Entry)
                    except (msgspec.MsgspecError, UnicodeDecodeError):
                        break
                    self._note(entry, place)
                place += len(line)
        return place

    def _note(self, entry: _Entry, place: int) -> None:
        self._places.setdefault(entry.source, {})[entry.number] = place
        self._counts[entry.source] = entry.of

    def __contains__(self, source: str) -> bool:
        """Whether all segments of a source are there."""
        return source in self._places and len(self._places[source]) == self._counts[source]

    def __len__(self) -> int:
        """The number of sources of which all is there."""
        return sum(source in self for source in self._places)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was recognised."""
        return not self._places

    def has(self, source: str, number: int) -> bool:
        """Whether a segment of a source is there."""
        return number in self._places.get(source, {})

    def add(self, source: str, number: int, of: int, recognised: Recognised) -> None:
        """A segment of a source, of as many as it has, is finished."""
        entry = _Entry(source, number, of, recognised)
        self._note(entry, self._stream.tell())
        self._stream.write(msgspec.json.encode(entry) + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def read(self, sources: Iterable[str]) -> Iterator[Recognised]:
        """The utterances of those sources of which all is there, in the order of the sources."""
        with self.path.open("rb") as stream:
            for source in sources:
                if source not in self:
                    continue
                for _, place in sorted(self._places[source].items()):
                    stream.seek(place)
                    yield msgspec.json.decode(stream.readline(), type=_Entry).recognised

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it where everything is written elsewhere."""
        self._stream.close()
        if remove:
            self.path.unlink(missing_ok=True)
