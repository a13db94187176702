"""Reading n-best lists, whatever format they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.canonical import read_canonical
from asr_lm.hypotheses.formats import (
    CANONICAL,
    FORMATS,
    HYPORADISE,
    KALDI,
    MLM_SCORING,
    NEMO,
    SWITCHBOARD,
    recognise,
)
from asr_lm.hypotheses.hyporadise import read_hyporadise
from asr_lm.hypotheses.kaldi import read_kaldi
from asr_lm.hypotheses.mlm_scoring import read_mlm_scoring
from asr_lm.hypotheses.nemo import read_nemo
from asr_lm.hypotheses.spool import rereadable
from asr_lm.hypotheses.switchboard import read_switchboard
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Consistency, Located

_READERS: dict[str, Callable[[Path], Located]] = {
    CANONICAL: read_canonical,
    MLM_SCORING: read_mlm_scoring,
    HYPORADISE: read_hyporadise,
    KALDI: read_kaldi,
    SWITCHBOARD: read_switchboard,
}


def read_nbest(
    path: str | Path,
    format: str | None = None,
    *,
    manifest: str | Path | None = None,
    beam_size: int | None = None,
) -> Iterator[Utterance]:
    """Yield the utterances of an n-best list in the order of the file.

    Args:
        path: file (plain, ``.gz`` or ``.zst``), folder for the formats that are folders, ``-`` for standard input.
        format: one of :data:`~asr_lm.hypotheses.formats.FORMATS`; None recognises it by content.
        manifest: the manifest of NeMo's beams; goes with that format only.
        beam_size: lines of an utterance in NeMo's beams; None takes what both files' lengths say.

    Canonical JSON Lines are streamed: of what was read only the ids are kept. Scores come as natural logarithms,
    larger is better.

    Raises:
        InputError: the list is damaged, malformed, empty or inconsistent, or its format is not clear. It may come
            after utterances were yielded: a list is refused as a whole, so act on none before the last.
    """
    with rereadable(path) as file:
        consistency = Consistency()
        empty = True
        try:
            for place, utterance in _located(file, format or recognise(file), manifest, beam_size):
                consistency.check(utterance, place)
                empty = False
                yield utterance
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", file=file) from error
        if empty:
            raise InputError("empty list, expected at least one utterance", file=display_name(file))


def _located(path: Path, format: str, manifest: str | Path | None, beam_size: int | None) -> Located:
    if format == NEMO:
        if manifest is None:
            raise InputError("NeMo's beams need the manifest that was decoded: give it with --manifest", file=path)
        return read_nemo(path, Path(manifest), beam_size)
    if format not in _READERS:
        raise InputError(
            f"unknown format {format!r}, expected one of {', '.join(FORMATS)}", file=path, field="--format"
        )
    if manifest is not None or beam_size is not None:
        raise InputError(f"the list is {format}; a manifest and a beam size go with {NEMO} only", file=path)
    return _READERS[format](path)
