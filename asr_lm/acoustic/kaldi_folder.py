"""Kaldi's data folders: ``wav.scp``, and where they are there ``segments`` and ``text``.

A segment that ends up to half a second after its recording is shortened, as Kaldi's ``extract-segments`` does
(``--max-overshoot``). Commands in ``wav.scp`` are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from asr_lm.acoustic.speech import Speech, check_times
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.hypotheses.references import keyed_rows, read_keyed_texts

WAV_SCP = "wav.scp"
OVERSHOOT = 0.5
_END = -1


def read_kaldi_folder(folder: Path, note: Callable[[str], None]) -> Iterator[Speech]:
    """The utterances of a folder.

    Args:
        folder: with ``wav.scp``.
        note: told of references that belong to no utterance.

    Raises:
        InputError: a table is malformed, or has a line twice.
    """
    recordings = {name: _path(folder, name, rest, number) for number, name, rest in keyed_rows(folder / WAV_SCP)}
    texts = folder / "text"
    references = read_keyed_texts(texts) if texts.exists() else {}
    if (folder / "segments").exists():
        found = list(_segments(folder / "segments", recordings, references))
    else:
        found = [
            Speech(name, path, reference=references.get(name), recording=name) for name, path in recordings.items()
        ]
    if unused := references.keys() - {speech.id for speech in found}:
        few = ", ".join(sorted(unused)[:3])
        note(f"{texts}: {counted(len(unused), 'reference belongs', 'references belong')} to no utterance ({few})")
    yield from found


def _segments(table: Path, recordings: Mapping[str, Path], references: Mapping[str, str]) -> Iterator[Speech]:
    for number, name, rest in keyed_rows(table):
        recording, start, end, channel = _segment(rest, table, number)
        if recording not in recordings:
            raise InputError(f"no recording {recording!r} in {WAV_SCP}", file=table, line=number)
        duration = None if end == _END else end - start
        check_times(start, duration, table, number)
        path, reference = recordings[recording], references.get(name)
        yield Speech(name, path, start, duration, reference, recording, channel, OVERSHOOT)


def _path(folder: Path, name: str, rest: str, number: int) -> Path:
    table = folder / WAV_SCP
    if rest.endswith("|"):
        message = f"recording {name!r} is the output of a command, which is not run; give a file"
        raise InputError(message, file=table, line=number)
    if not rest:
        raise InputError("expected a recording's name and its file", file=table, line=number)
    # Kaldi takes paths from where it is run, others from the table's folder.
    try:
        return Path(rest) if Path(rest).is_absolute() or Path(rest).exists() else folder / rest
    except (OSError, ValueError) as error:
        raise InputError(f"no path of a file ({error})", file=table, line=number) from None


def _segment(rest: str, path: Path, number: int) -> tuple[str, float, float, int | None]:
    """Recording, start, end and channel; Kaldi counts channels from 0."""
    fields = rest.split()
    try:
        recording, start, end = fields[0], float(fields[1]), float(fields[2])
        channel = int(fields[3]) + 1 if len(fields) > 3 else None
    except (IndexError, ValueError):
        message = "expected an utterance, its recording, and start and end in seconds"
        raise InputError(message, file=path, line=number) from None
    if len(fields) > 4 or (channel is not None and channel < 1):
        raise InputError(
            f"expected no more than a channel from 0 on after the end, not {fields[3:]}", file=path, line=number
        )
    return recording, start, end, channel
