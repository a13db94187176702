"""Damaged manifests, Kaldi folders and sound files: each is read or refused, and never takes long.

Small whole files are changed by chance: cut, bytes flipped, pieces doubled, swapped or left out, numbers made huge,
bytes put in that mean something to some reader. An ``InputError`` that names no file, and a read that gives neither
utterances nor a reason, are faults, too.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from campaigns._fuzzing import fuzz

from asr_lm.acoustic.audio import Sound
from asr_lm.acoustic.finding import find_speech
from asr_lm.errors import InputError

_NUMBER = re.compile(rb"\d+(\.\d+)?")
_HUGE = (b"999999999", b"2147483648", b"9" * 30, b"-1", b"1e999", b"nan", b"-inf", b"0x10", b"1_0", b"0", b"")
_PIECES = (
    *(b"\n", b"\n\n", b"\0", b"\xff", b"\xef\xbb\xbf", b" ", b"\t", b"|", b'"', b"\\", b",", b"[", b"]", b"{", b"}"),
    *(b"null", b"true", b"[]", b"{}", b'"audio"', b'"offset": ', b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xe2\x80\xa8"),
    *(b"../", b"/", b"\xed\xa0\x80", b"\\ud800", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"~", b"a" * 300),
)

_MANIFESTS = {
    "m.jsonl": b'{"audio": "a.wav", "start": 0.1, "duration": 0.2, "reference": "so", "id": "x", "channel": 1}\n'
    b'{"audio_filepath": "a.wav", "offset": 0.0, "duration": 0.3, "text": "and so"}\n',
    "m.json": b'[{"audio": {"path": "a.wav"}, "sentence": "so", "id": 7}, {"path": "b.wav", "begin": 0, "end": 1.5}]',
    "c.jsonl": b'{"id": "c1", "start": 0.1, "duration": 0.2, "channel": 0, "type": "MonoCut", "supervisions": '
    b'[{"start": 0, "text": "so"}], "recording": {"id": "r", "sources": [{"type": "file", "source": "a.wav"}]}}\n',
    "validated.tsv": b"client_id\tpath\tsentence\tup_votes\nx\ta.wav\tand so\t2\ny\tb.mp3\tno\t0\n",
    "m.csv": b'audio,text,start,end\na.wav,"so, and",0.5,1\nb.wav,no,0,2\n',
}
_KALDI = {
    "wav.scp": b"r1 a.wav\nr2\tb.wav\n",
    "segments": b"u1 r1 0.0 0.25\nu2 r2 0.1 -1 0\n",
    "text": b"u1 AND  SO\nu2\tno\n",
}


@cache
def _sounds() -> dict[str, bytes]:
    signal = 0.1 * np.sin(np.arange(2_000) / 5)
    kinds = {
        "a.wav": ("WAV", "PCM_16"), "f.wav": ("WAV", "FLOAT"), "a.flac": ("FLAC", "PCM_16"),
        "a.ogg": ("OGG", "VORBIS"), "a.opus": ("OGG", "OPUS"), "a.mp3": ("MP3", "MPEG_LAYER_III"),
        "a.aiff": ("AIFF", "PCM_16"), "a.au": ("AU", "ULAW"), "a.sph": ("NIST", "PCM_16"), "a.w64": ("W64", "PCM_16"),
        "a.caf": ("CAF", "PCM_16"), "a.voc": ("VOC", "PCM_16"),
    }  # fmt: skip
    return {name: _encoded(np.stack([signal, -signal], 1), *kind) for name, kind in kinds.items()}


def _encoded(signal: Any, form: str, subtype: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, signal, 16_000, subtype, format=form)
    return stream.getvalue()


def damaged(content: bytes, generator: random.Random, head: int | None = None) -> bytes:
    """A file with one to four changes; ``head`` bounds how many of its bytes are changed most of the time."""
    for _ in range(generator.randint(1, 4)):
        size = len(content) if head is None or generator.random() < 0.2 else min(head, len(content))
        first, last = sorted(generator.randint(0, size) for _ in range(2))
        content = generator.choice(_CHANGES)(content, first, last, generator)
    return content


def _number(content: bytes, first: int, last: int, generator: random.Random) -> bytes:
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    place = generator.choice(found)
    return content[: place.start()] + generator.choice(_HUGE) + content[place.end() :]


def _flipped(content: bytes, first: int, last: int, generator: random.Random) -> bytes:
    return content[:first] + bytes([generator.randrange(256)]) + content[first + 1 :]


def _swapped(content: bytes, first: int, last: int, generator: random.Random) -> bytes:
    middle = (first + last) // 2
    return content[:first] + content[middle:last] + content[first:middle] + content[last:]


_CHANGES: Sequence[Callable[[bytes, int, int, random.Random], bytes]] = (
    _number,
    _flipped,
    _flipped,
    _swapped,
    lambda content, first, last, _: content[:first],
    lambda content, first, last, _: content[:first] + content[last:],
    lambda content, first, last, _: content[:last] + content[first:],
    lambda content, first, last, generator: content[:first] + generator.choice(_PIECES) + content[first:],
)


def _write_manifest(folder: Path, generator: random.Random) -> Path:
    name = generator.choice([*_MANIFESTS])
    (folder / name).write_bytes(damaged(_MANIFESTS[name], generator))
    return folder / name


def _write_kaldi(folder: Path, generator: random.Random) -> Path:
    chosen = generator.choice([*_KALDI])
    for name, content in _KALDI.items():
        (folder / name).write_bytes(damaged(content, generator) if name == chosen else content)
    return folder


def _write_sound(folder: Path, generator: random.Random) -> Path:
    whole = _sounds()
    name = generator.choice([*whole])
    (folder / name).write_bytes(damaged(whole[name], generator, head=64))
    return folder / name


def _found(path: Path) -> int:
    return len(find_speech([path]))


def _heard(path: Path) -> int:
    sound = Sound.open(path)
    return sum(len(block) > 0 for block in sound.blocks(0, sound.samples))


@dataclass(frozen=True)
class SpeechReader:
    """What writes a damaged input in a folder, and what reads it."""

    write: Callable[[Path, random.Random], Path]
    reader: Callable[[Path], int]
    share: float = 1.0

    def prepare(self, folder: Path) -> Callable[[random.Random], Path]:
        return partial(self.write, folder)

    def read(self, path: Path) -> int:
        try:
            found = self.reader(path)
        except InputError as error:
            if error.file or error.utterance:
                raise
            raise AssertionError(f"no file is named: {error}") from error
        assert found, "nothing read, and no reason given"
        return found


READERS = {
    "manifests": SpeechReader(_write_manifest, _found),
    "Kaldi folders": SpeechReader(_write_kaldi, _found),
    "sound files": SpeechReader(_write_sound, _heard),
}


def run(inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Read so many damaged inputs with each reader; a row for each."""
    return fuzz(READERS, inputs, seed)
