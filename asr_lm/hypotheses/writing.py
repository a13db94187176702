"""Writing n-best lists: canonical JSON, Parquet, TRN and CTM."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from asr_lm.errors import InputError
from asr_lm.files import STDIN, atomic_write, display_name
from asr_lm.hypotheses.parquet import parquet_bytes
from asr_lm.hypotheses.sclite import hypothesis_ctm, hypothesis_trn, reference_trn
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Consistency, Location

_Chunks = Callable[[Iterable[Utterance]], Iterator[bytes]]


def write_nbest(
    path: str | Path, utterances: Iterable[Utterance], format: str | None = None, *, unique: bool = False
) -> int:
    """Write a list and return the number of its utterances; they are consumed one by one.

    Args:
        path: file to write, ``-`` for standard output. ``.gz`` and ``.zst`` at the end compress.
        utterances: the list; must be one that :func:`~asr_lm.hypotheses.reading.read_nbest` would accept.
        format: ``jsonl``, ``json`` (an array), ``parquet``, ``trn`` (first hypotheses), ``ref.trn`` (references)
            or ``ctm`` (first hypotheses with their word times); None takes it from the file's suffix, and ``jsonl`` for
            ``-``.
        unique: the ids are known to be, as those of a list that was read are: they are not looked at again.

    Raises:
        InputError: unknown suffix, a list that is empty or inconsistent, content that the format cannot hold, or a
            file that cannot be written. The file then stays as it was.
    """
    chunks = _chunks(path, format)
    counted = _Checked(utterances, "<stdout>" if str(path) == STDIN else display_name(path), unique)
    with _opened(path) as stream:
        try:
            for chunk in chunks(counted):
                stream.write(chunk)
        except InputError as error:
            if error.is_about_option:
                raise
            raise error.located(file=counted.file) from error
        if not counted.number:
            raise InputError("empty list, nothing to write", file=counted.file)
    return counted.number


class _Checked:
    """An iterable that counts utterances and refuses those that could not be read again."""

    def __init__(self, utterances: Iterable[Utterance], file: str, unique: bool) -> None:
        self._utterances = utterances
        self._unique = unique
        self.file = file
        self.number = 0

    def __iter__(self) -> Iterator[Utterance]:
        consistency, place = Consistency(unique=self._unique), Location(self.file)
        for utterance in self._utterances:
            consistency.check(utterance, place)
            self.number += 1
            yield utterance


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    if str(path) != STDIN:
        with atomic_write(path) as stream:
            yield stream
        return
    yield cast(BinaryIO, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _chunks(path: str | Path, format: str | None) -> _Chunks:
    format = format or format_of(path)
    if format not in _WRITERS:
        raise InputError(f"no list of format {format!r} can be written, expected one of {_names()}", file=path)
    return _WRITERS[format]


def encoded(utterances: Iterable[Utterance], format: str) -> Iterator[bytes]:
    """A list that is known to be consistent, as a file of a format holds it, piece by piece.

    Raises:
        InputError: no such format, or content that it cannot hold.
    """
    return _chunks("", format)(utterances)


def format_of(path: str | Path) -> str:
    """The format that the suffix of a path names; ``jsonl`` for ``-``.

    Raises:
        InputError: it names none.
    """
    if str(path) == STDIN:
        return "jsonl"
    name = Path(path).name
    for packed in (".gz", ".zst"):
        name = name.removesuffix(packed)
    fitting = [format for format in _WRITERS if name.endswith(f".{format}")]
    if not fitting:
        raise InputError(f"the suffix names no format, expected one of {_names()} (and .gz or .zst)", file=path)
    return max(fitting, key=len)


def _names() -> str:
    return ", ".join(_WRITERS)


def _json_lines(utterances: Iterable[Utterance]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for utterance in utterances:
        yield encoder.encode(utterance) + b"\n"


def _json_array(utterances: Iterable[Utterance]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    separator = b"[\n"
    for utterance in utterances:
        yield separator + encoder.encode(utterance)
        separator = b",\n"
    yield b"\n]\n"


def _text(lines: Callable[[Iterable[Utterance]], Iterator[str]]) -> _Chunks:
    return lambda utterances: (f"{line}\n".encode() for line in lines(utterances))


_WRITERS: dict[str, _Chunks] = {
    "jsonl": _json_lines,
    "json": _json_array,
    "trn": _text(hypothesis_trn),
    "ref.trn": _text(reference_trn),
    "ctm": _text(hypothesis_ctm),
    "parquet": parquet_bytes,
}
