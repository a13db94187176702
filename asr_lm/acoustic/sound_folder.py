"""Folders of sound files, alone or with LibriSpeech's transcripts (``*.trans.txt``) beside them.

What libsndfile reads is found at any depth. Sound that it does not read is an utterance as well, so that it is named
when it is to be read. Everything else is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from asr_lm.acoustic.sound_files import is_convertible, is_readable
from asr_lm.acoustic.speech import Speech
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import iterate_text

TRANSCRIPTS = ".trans.txt"
_FLAC = ".flac"
_EXAMPLES = 3


def read_sound_folder(folder: Path, note: Callable[[str], None]) -> Iterator[Speech]:
    """Every sound file, or the lines of every transcript where there are some.

    Args:
        folder: searched at any depth.
        note: told of files that are no sound, and of sound without a transcript.

    Raises:
        InputError: there is no sound, or a transcript is malformed.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sounds = [path for path in files if is_readable(path)]
    converted = {path.with_suffix("") for path in sounds}
    # What was converted already lies there twice.
    sounds += [path for path in files if is_convertible(path) and path.with_suffix("") not in converted]
    transcripts = [path for path in files if path.name.endswith(TRANSCRIPTS)]
    _note_others(folder, sorted({*files} - {*sounds, *transcripts}), note)
    if transcripts:
        yield from _transcribed(folder, transcripts, sounds, note)
        return
    if not sounds:
        raise InputError(
            "no sound in this folder, expected wav, flac or another kind that libsndfile reads", file=folder
        )
    for path in sorted(sounds):
        name = "-".join(path.relative_to(folder).with_suffix("").parts)
        yield Speech(name, path, recording=name)


def _note_others(folder: Path, others: Sequence[Path], note: Callable[[str], None]) -> None:
    if others:
        few = ", ".join(str(path.relative_to(folder)) for path in others[:_EXAMPLES])
        note(f"{folder}: {counted(len(others), 'file is', 'files are')} not read as sound ({few})")


def _transcribed(
    folder: Path, transcripts: Sequence[Path], sounds: Sequence[Path], note: Callable[[str], None]
) -> Iterator[Speech]:
    found = [speech for transcript in transcripts for speech in read_transcript(transcript)]
    if left := sorted({*sounds} - {speech.path for speech in found}):
        few = ", ".join(str(path.relative_to(folder)) for path in left[:_EXAMPLES])
        note(f"{folder}: {len(left):,} sound files have no transcript in *{TRANSCRIPTS} and are left out ({few})")
    yield from found


def read_transcript(transcript: Path) -> Iterator[Speech]:
    """The utterances of LibriSpeech's ``*.trans.txt``, an id and its words on every line.

    Raises:
        InputError: a line has no words.
    """
    sounds = {path.stem: path for path in sorted(transcript.parent.iterdir(), reverse=True) if is_readable(path)}
    for number, line in iterate_text(transcript):
        identity, *words = line.split()
        if not words:
            raise InputError("no transcript, expected an id and words", file=transcript, line=number)
        # A missing file is that utterance's trouble, and named when it is to be read.
        path = sounds.get(identity, transcript.with_name(identity + _FLAC))
        yield Speech(identity, path, reference=" ".join(words), recording=identity.rpartition("-")[0] or None)
