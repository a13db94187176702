"""NeMo's beams: a file of ``text<TAB>score`` lines, the same number for each utterance of a manifest.

``eval_beamsearch_ngram.py`` of NVIDIA NeMo writes it (``preds_output_folder``) and ``eval_neural_rescorer.py`` reads
it. The manifest is JSON Lines with ``audio_filepath`` and ``text``; where it cuts utterances out of one recording
it has ``offset`` (seconds). The score is that of the beam search, a natural logarithm, larger is better.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_lines, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.formats.table import found
from asr_lm.hypotheses.json_records import decode_record, json_records
from asr_lm.hypotheses.spool import rereadable
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal


class _ManifestEntry(msgspec.Struct):
    audio_filepath: str
    text: str | None = None
    offset: float | None = None

    @property
    def identity(self) -> str:
        return self.audio_filepath if self.offset is None else f"{self.audio_filepath}@{self.offset:g}"

    @property
    def recording(self) -> str | None:
        return None if self.offset is None else self.audio_filepath


def read_nemo(path: Path, manifest: Path, beam_size: int | None = None) -> Located:
    """Utterances of a beam file; an utterance is called after its audio file (and ``@offset``).

    Args:
        path: the beams.
        manifest: the manifest that was decoded.
        beam_size: lines of an utterance; None takes what the lengths of both files say.

    Raises:
        InputError: the files do not fit together, or a line is not ``text<TAB>score``.
    """
    with rereadable(manifest) as file:
        entries = _manifest_entries(file)
    size = _checked_beam_size(path, manifest, len(entries), beam_size)
    lines, name = iterate_text(path), display_name(path)
    before: tuple[Location, Utterance] | None = None
    for entry in entries:
        beam = list(itertools.islice(lines, size))
        place = Location(name, beam[0][0])
        hypotheses = tuple(_hypotheses(beam, name, entry.identity))
        utterance = Utterance(entry.identity, hypotheses, entry.text, entry.recording)
        if before is not None and beam_size is None:
            _check_apart(before, (place, utterance))
        before = place, utterance
        yield before


def _check_apart(before: tuple[Location, Utterance], after: tuple[Location, Utterance]) -> None:
    """Refuse beams that were not of one length: the file has no boundaries, but hypotheses tell where they belong."""
    (place, first), (_, second) = before, after
    for rank, hypothesis in enumerate(first.hypotheses[1:], 1):
        if _closer(hypothesis, second.hypotheses[0], first.hypotheses[0]):
            raise _uneven(place, place.line, rank, second.id)
    for rank, hypothesis in enumerate(second.hypotheses[:-1]):
        if _closer(hypothesis, first.hypotheses[-1], second.hypotheses[-1]):
            raise _uneven(after[0], after[0].line, rank, first.id)


def _closer(hypothesis: Hypothesis, other: Hypothesis, own: Hypothesis) -> bool:
    """Whether a hypothesis has nearly all words of the other utterance's and nearly none of its own."""
    return _shared(hypothesis, other) > 0.6 and _shared(hypothesis, own) < 0.25


def _shared(one: Hypothesis, other: Hypothesis) -> float:
    first, second = set(one.text.split()), set(other.text.split())
    return len(first & second) / max(len(first | second), 1)


def _uneven(place: Location, line: int | None, rank: int, other: str) -> InputError:
    message = f"looks like a hypothesis of {other!r}: the beams are not of one length, and the file has no boundaries"
    advice = "let NeMo write them into the manifest (transcribe_speech.py with return_best_hypothesis=false)"
    return place._replace(line=(line or 1) + rank).error(f"{message}; {advice}, or give `beam_size=` if it is right")


def _manifest_entries(manifest: Path) -> list[_ManifestEntry]:
    decoder = msgspec.json.Decoder(_ManifestEntry)
    entries = [decode_record(decoder, raw, place) for place, raw in json_records(manifest)]
    if not entries:
        raise InputError("empty manifest, expected one utterance a line", file=display_name(manifest))
    return entries


def _checked_beam_size(path: Path, manifest: Path, utterances: int, beam_size: int | None) -> int:
    lines = sum(1 for _ in iterate_lines(path))
    if beam_size is None:
        beam_size = lines // utterances
    if beam_size < 1 or beam_size * utterances != lines:
        raise InputError(
            f"{counted(lines, 'line does', 'lines do')} not make {counted(utterances, 'utterance')} "
            f"(manifest {display_name(manifest)}) of {beam_size if beam_size > 0 else 'at least one'} lines each, "
            "expected as many for every utterance",
            file=display_name(path),
        )
    return beam_size


def _hypotheses(beam: list[tuple[int, str]], file: str, identity: str) -> Iterator[Hypothesis]:
    for number, line in beam:
        text, tab, score = line.rpartition("\t")
        if not tab:
            raise Location(file, number).error("no tab, expected text<TAB>score", identity)
        value = decimal(score.strip())
        if value is None:
            raise Location(file, number).error(not_decimal(score), identity, "score")
        yield Hypothesis(text, {"score": value})


def _fits(beginning: Beginning) -> bool:
    """Whether the first two lines end in a tab and a number, and are no table with an id."""
    first = beginning.lines[:2]
    return bool(first) and all(map(_is_beam, first)) and not ("\t" in first[0].rpartition("\t")[0] and found(beginning))


def _is_beam(line: str) -> bool:
    _, tab, score = line.rpartition("\t")
    return bool(tab) and decimal(score.strip()) is not None


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    if sides.manifest is None:
        raise InputError("NeMo's beams need the manifest that was decoded: give it with `manifest=`", file=path)
    return read_nemo(path, sides.manifest, sides.beam_size)


FORMAT = Format(
    name="nemo",
    about="NeMo's beams: text, tab, score on each line, as many for each utterance of a manifest (--manifest)",
    fits=_fits,
    read=_read,
    sides=frozenset({"manifest", "beam_size"}),
)
