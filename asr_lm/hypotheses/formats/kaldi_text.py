"""Kaldi's n-best texts and CTM files with a key ``utterance-N`` for each hypothesis, without scores.

* text: ``utt-1 the words``, what ``nbest-to-linear`` writes and ``int2sym.pl`` turns into words;
* CTM: ``utt-1 channel start duration word [confidence]``, what ``nbest-to-ctm`` writes; word times are kept.

Only the ranks are known. The folder of such a text with its score archives is the format ``kaldi``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.numbered_keys import are_ranks, grouped
from asr_lm.hypotheses.utterance import Hypothesis
from asr_lm.hypotheses.validation import Located, Location, decimal

_CTM_FIELDS = (5, 6)


def _read_text(path: Path) -> Located:
    """Utterances of a text file.

    Raises:
        InputError: a key is not of the form ``utterance-N``, or comes twice.
    """
    return grouped(_texts(path))


def _texts(path: Path) -> Iterator[tuple[Location, str, Hypothesis]]:
    name = display_name(path)
    for number, line in iterate_text(path):
        if line.strip():
            key, _, text = line.replace("\t", " ").strip().partition(" ")
            yield Location(name, number), key, Hypothesis(text.strip())


def read_ctm(path: Path) -> Located:
    """Utterances of a CTM file, with word times.

    Raises:
        InputError: a line is no CTM, or a key not of the form ``utterance-N``.
    """
    return grouped(_timed(path))


def _timed(path: Path) -> Iterator[tuple[Location, str, Hypothesis]]:
    lines = (
        (Location(display_name(path), number), line.split()) for number, line in iterate_text(path) if line.strip()
    )
    for key, group in itertools.groupby(lines, key=lambda entry: entry[1][0]):
        words, times = [], []
        for place, fields in group:
            if not _is_ctm(fields):
                raise place.error("expected id, channel, start, duration and word", key)
            start, duration = float(fields[2]), float(fields[3])
            words.append(fields[4])
            times.append((start, start + duration))
        yield place, key, Hypothesis(" ".join(words), times=tuple(times))


def _is_ctm(fields: list[str]) -> bool:
    return len(fields) in _CTM_FIELDS and None not in map(decimal, fields[2:4])


def _fits_text(beginning: Beginning) -> bool:
    pairs = [line.replace("\t", " ").strip().partition(" ") for line in beginning.lines]
    return not beginning.is_json and not _fits_ctm(beginning) and are_ranks((key, text) for key, _, text in pairs)


def _fits_ctm(beginning: Beginning) -> bool:
    fields = [line.split() for line in beginning.lines if not line.startswith(";;")]
    if not fields or not all(map(_is_ctm, fields[:10])):
        return False
    texts: dict[str, list[str]] = {}
    for entry in fields:
        texts.setdefault(entry[0], []).append(entry[4] if len(entry) > 4 else "")
    return are_ranks((key, " ".join(words)) for key, words in texts.items())


TEXT = Format(
    name="kaldi-text",
    about="Kaldi's n-best text: utterance-N and the words on each line, without scores",
    fits=_fits_text,
    read=plain(_read_text),
)
CTM = Format(
    name="kaldi-ctm",
    about="Kaldi's n-best CTM: utterance-N, channel, start, duration and word on each line, without scores",
    fits=_fits_ctm,
    read=plain(read_ctm),
)
