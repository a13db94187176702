"""Reading n-best lists, whatever format they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.formats import FORMATS, recognise
from asr_lm.hypotheses.formats.mapped_by_user import mapped_format
from asr_lm.hypotheses.interpretation import interpreted
from asr_lm.hypotheses.references import with_references
from asr_lm.hypotheses.spool import rereadable
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Consistency, Located, Location


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
    mapping: str | Sequence[str] = (),
    costs: Sequence[str] = (),
    as_given: bool = False,
    references: str | Path | None = None,
) -> ListReader:
    """The utterances of an n-best list in the order of the file; nothing is read before the first is asked for.

    Args:
        path: file (plain, ``.gz`` or ``.zst``), folder for the formats that are folders, ``-`` for standard input.
        format: one of :data:`~asr_lm.hypotheses.formats.FORMATS`; None recognises it by content.
        manifest: the manifest of NeMo's beams; goes with that format only.
        beam_size: lines of an utterance in NeMo's beams; None takes what both files' lengths say.
        acoustic_scale: what the recogniser multiplies acoustic scores by, for formats that keep them unscaled.
        mapping: where the fields lie (:mod:`~asr_lm.hypotheses.mapping`), for lists of no known format; lines of
            assignments, or names of TOML files.
        costs: names of scores of which smaller is better.
        as_given: take scores and order as they are (else see :mod:`~asr_lm.hypotheses.interpretation`).
        references: a file of what was said (:func:`~asr_lm.hypotheses.references.read_references`), where the list does
            not say it.

    Canonical JSON Lines are streamed: of what was read only the ids are kept. Scores come as natural logarithms,
    larger is better.

    Raises:
        InputError: the list is damaged, malformed, empty or inconsistent, or its format is not clear. It may come
            after utterances were yielded: a list is refused as a whole, so act on none before the last.
    """
    sides = SideInputs(None if manifest is None else Path(manifest), beam_size, acoustic_scale)
    lines = (mapping,) if isinstance(mapping, str) else tuple(mapping)
    if lines and format is not None:
        raise InputError("a mapping reads what has no format: give one of the two", parameter="mapping")
    notices = Notices()
    meaning = Meaning(tuple(costs), as_given, None if references is None else Path(references))
    chosen = mapped_format(lines) if lines else format
    return ListReader(_utterances(path, chosen, sides, meaning, notices), notices)


class Meaning(NamedTuple):
    """What the user says of a list: which scores are costs, whether all is taken as it is, where the references are."""

    costs: tuple[str, ...] = ()
    as_given: bool = False
    references: Path | None = None


def _utterances(
    path: str | Path, format: str | Format | None, sides: SideInputs, meaning: Meaning, notices: Notices
) -> Iterator[Utterance]:
    with rereadable(path) as file:
        empty = True
        try:
            chosen = format if isinstance(format, Format) else _format(file, format)
            checked = _checked(chosen.utterances(file, sides, notices), chosen)
            if meaning.references is not None:
                checked = with_references(checked, meaning.references, notices)
            known = chosen.scores_known
            for _, utterance in interpreted(
                checked, notices, costs=meaning.costs, as_given=meaning.as_given, known=known
            ):
                empty = False
                yield utterance
        except InputError as error:
            raise error if error.is_about_option else error.located(file=display_name(file)) from error
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", file=file) from error
        if empty:
            raise InputError("empty list, expected at least one utterance", file=display_name(file))


def _checked(located: Located, format: Format) -> Located:
    """The utterances, each checked against those before; a list that has only single hypotheses is refused."""
    consistency = Consistency()
    first: Location | None = None
    several = format.advice is None
    for place, utterance in located:
        consistency.check(utterance, place)
        first = first or place
        several = several or len(utterance.hypotheses) > 1
        yield place, utterance
    if not several and first is not None:
        message = f"one hypothesis for each utterance, so there is nothing to rescore; {format.advice}"
        raise InputError(message, file=first.file)


def _format(path: Path, name: str | None) -> Format:
    if name is None:
        name = recognise(path)
    if name not in FORMATS:
        message = f"unknown format {name!r}, expected one of {', '.join(FORMATS)}"
        raise InputError(message, file=path, parameter="format")
    return FORMATS[name]
