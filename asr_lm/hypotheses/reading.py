"""Reading n-best lists, whatever format they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.formats import FORMATS, recognise
from asr_lm.hypotheses.spool import rereadable
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Consistency


class ListReader(Iterator[Utterance]):
    """The utterances of a list, one by one, and what there is to say about it.

    Attributes:
        notices: what the reader took, left or changed; whole once the last utterance was given.
    """

    def __init__(self, utterances: Iterator[Utterance], notices: Notices) -> None:
        self._utterances = utterances
        self.notices = notices

    def __next__(self) -> Utterance:
        return next(self._utterances)


def read_nbest(
    path: str | Path,
    format: str | None = None,
    *,
    manifest: str | Path | None = None,
    beam_size: int | None = None,
    acoustic_scale: float | None = None,
) -> ListReader:
    """The utterances of an n-best list in the order of the file; nothing is read before the first is asked for.

    Args:
        path: file (plain, ``.gz`` or ``.zst``), folder for the formats that are folders, ``-`` for standard input.
        format: one of :data:`~asr_lm.hypotheses.formats.FORMATS`; None recognises it by content.
        manifest: the manifest of NeMo's beams; goes with that format only.
        beam_size: lines of an utterance in NeMo's beams; None takes what both files' lengths say.
        acoustic_scale: what the recogniser multiplies acoustic scores by, for formats that keep them unscaled.

    Canonical JSON Lines are streamed: of what was read only the ids are kept. Scores come as natural logarithms,
    larger is better.

    Raises:
        InputError: the list is damaged, malformed, empty or inconsistent, or its format is not clear. It may come
            after utterances were yielded: a list is refused as a whole, so act on none before the last.
    """
    sides = SideInputs(None if manifest is None else Path(manifest), beam_size, acoustic_scale)
    notices = Notices()
    return ListReader(_utterances(path, format, sides, notices), notices)


def _utterances(path: str | Path, format: str | None, sides: SideInputs, notices: Notices) -> Iterator[Utterance]:
    with rereadable(path) as file:
        consistency = Consistency()
        empty = True
        try:
            for place, utterance in _format(file, format).utterances(file, sides, notices):
                consistency.check(utterance, place)
                empty = False
                yield utterance
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", file=file) from error
        if empty:
            raise InputError("empty list, expected at least one utterance", file=display_name(file))


def _format(path: Path, name: str | None) -> Format:
    if name is None:
        name = recognise(path)
    if name not in FORMATS:
        message = f"unknown format {name!r}, expected one of {', '.join(FORMATS)}"
        raise InputError(message, file=path, parameter="format")
    return FORMATS[name]
