"""What is to be decoded, found where a user points to.

* a sound file, or a folder of them at any depth: an utterance each (:mod:`asr_lm.acoustic.sound_folder`);
* a LibriSpeech folder: the lines of its ``*.trans.txt``, which are the references;
* a manifest (:mod:`asr_lm.acoustic.manifests`); a folder with ``manifest.jsonl`` is read so;
* a Kaldi folder (:mod:`asr_lm.acoustic.kaldi_folder`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from asr_lm.acoustic.kaldi_folder import WAV_SCP, read_kaldi_folder
from asr_lm.acoustic.manifests import is_manifest, read_manifest
from asr_lm.acoustic.sound_folder import TRANSCRIPTS, read_sound_folder, read_transcript
from asr_lm.acoustic.speech import Speech
from asr_lm.errors import InputError

MANIFEST = "manifest.jsonl"


def _unheard(_: str) -> None:
    """Nobody listens."""


def find_speech(paths: Iterable[Path], note: Callable[[str], None] = _unheard) -> list[Speech]:
    """All that is to be recognised, in order.

    Args:
        paths: files and folders.
        note: told of what lies there and is not read.

    Raises:
        InputError: nothing is there, a list is malformed, an id is there twice.
    """
    paths, found = list(paths), []
    places: dict[str, Path] = {}
    for path in paths:
        for speech in _found(path, note):
            if speech.id in places:
                message = f"two utterances of this id, of {places[speech.id]} and {speech.path}"
                raise InputError(message, utterance=speech.id)
            places[speech.id] = speech.path
            found.append(speech)
    if not found:
        raise InputError("nothing to decode in it", file=", ".join(map(str, paths)))
    return found


def _found(path: Path, note: Callable[[str], None]) -> Iterator[Speech]:
    if not path.exists():
        raise InputError("no such file or folder", file=path)
    if path.is_file():
        return _of_file(path, note)
    if (path / WAV_SCP).exists():
        return read_kaldi_folder(path, note)
    if (path / MANIFEST).exists():
        return read_manifest(path / MANIFEST)
    return read_sound_folder(path, note)


def _of_file(path: Path, note: Callable[[str], None]) -> Iterator[Speech]:
    if path.name == WAV_SCP:
        return read_kaldi_folder(path.parent, note)
    if path.name.endswith(TRANSCRIPTS):
        return read_transcript(path)
    if is_manifest(path):
        return read_manifest(path)
    return iter([Speech(path.stem, path, recording=path.stem)])
