"""Beam dumps of flashlight (wav2letter): ``id | score | acoustic | lm | WER | text`` on each line.

The score is a weighted sum of the acoustic and the language model score, which are its parts and would count twice
beside it. The fifth column is the error rate against the reference, which is the answer and no score. Source:
``Decode.cpp`` of wav2letter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal

_FIELDS = 6


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    """Utterances of a dump; lines of one id follow one another.

    Raises:
        InputError: a line has not six fields, or a score is no number.
    """
    notices.say(
        "flashlight: read as id, score and text; left unread: acoustic and lm (the score holds them), WER (the answer)"
    )
    for identity, group in itertools.groupby(_entries(path), key=lambda entry: entry[1]):
        entries = list(group)
        yield entries[0][0], Utterance(identity, tuple(entry[2] for entry in entries))


def _entries(path: Path) -> Iterator[tuple[Location, str, Hypothesis]]:
    name = display_name(path)
    for number, line in iterate_text(path):
        if not line.strip():
            continue
        place, fields = Location(name, number), [field.strip() for field in line.split("|", _FIELDS - 1)]
        if len(fields) != _FIELDS:
            raise place.error("expected id | score | acoustic | lm | WER | text")
        score = decimal(fields[1])
        if score is None:
            raise place.error(not_decimal(fields[1]), fields[0], "score")
        yield place, fields[0], Hypothesis(fields[5], {"score": score})


def _fits(beginning: Beginning) -> bool:
    """Whether each of the first lines has six fields of which the second to fifth are numbers."""
    rows = [[field.strip() for field in line.split("|", _FIELDS - 1)] for line in beginning.lines[:10]]
    return bool(rows) and all(len(row) == _FIELDS and None not in map(decimal, row[1:5]) for row in rows)


FORMAT = Format(
    name="flashlight",
    about="beam dumps of flashlight: id | score | acoustic | lm | WER | text",
    fits=_fits,
    read=_read,
    scores_known=True,
)
