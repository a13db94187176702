"""Switchboard 10-best lists of the 1997 summer workshop on language modelling (WS97): a file for each utterance.

The first line holds the number of reference words and the reference; each further line holds word error rate,
acoustic score (base 2), number of words and text of a hypothesis. Fields are separated by tabs. Word counts and error
rates follow from the texts and are not kept; the error rate would be the answer, not a feature. The lines are in no
order (measured: every position has the same mean acoustic rank), so hypotheses are ranked by acoustic score.
"""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning, first_lines
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal

REFERENCE_LINE = re.compile(r"\d+\t[^\t]*", re.ASCII)
HYPOTHESIS_FIELDS = 4
ACOUSTIC = "acoustic"


def read_switchboard(path: Path) -> Located:
    """Utterances of a folder, or of one file; the id is the path below the folder, in the order of names.

    Raises:
        InputError: a file is not of this format, or there is none.
    """
    if not path.is_dir():
        yield _utterance(path, path.name)
        return
    files = utterance_files(path)
    if not files:
        raise InputError("empty folder, expected one file for each utterance", file=path)
    for file in files:
        yield _utterance(file, file.relative_to(path).as_posix())


def utterance_files(folder: Path) -> list[Path]:
    """The files below the folder in the order of names, hidden ones left out."""
    below = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in below if not file.name.startswith("."))


def is_hypothesis_line(line: str) -> bool:
    """Whether a line has the four fields of a hypothesis."""
    fields = line.split("\t")
    return len(fields) == HYPOTHESIS_FIELDS and None not in map(decimal, fields[:3])


def _utterance(file: Path, identity: str) -> tuple[Location, Utterance]:
    name = display_name(file)
    lines = iterate_text(file)
    number, first = next(lines, (1, ""))
    if not REFERENCE_LINE.fullmatch(first):
        raise Location(name, number).error("expected the number of words, a tab and the reference", identity)
    hypotheses = [_hypothesis(line, Location(name, number), identity) for number, line in lines]
    hypotheses.sort(key=lambda hypothesis: -hypothesis.scores[ACOUSTIC])
    return Location(name, 1), Utterance(identity, tuple(hypotheses), first.partition("\t")[2])


def _hypothesis(line: str, place: Location, identity: str) -> Hypothesis:
    fields = line.split("\t")
    if len(fields) != HYPOTHESIS_FIELDS:
        message = (
            f"{counted(len(fields), 'field')}, expected error rate, acoustic score, words and text, with tabs between"
        )
        raise place.error(message, identity)
    base_2 = decimal(fields[1])
    if base_2 is None:
        raise place.error(not_decimal(fields[1]), identity, "acoustic score")
    return Hypothesis(fields[3], {ACOUSTIC: base_2 * math.log(2.0)})


def _fits(beginning: Beginning) -> bool:
    """Whether the file, or the first file below the folder, begins with a reference and a hypothesis."""
    if not beginning.is_folder:
        return _are_first(beginning.lines[:2])
    files = utterance_files(beginning.path)
    # A folder of another format may hold binary files, which are no fault.
    with contextlib.suppress(InputError):
        return bool(files) and _are_first(first_lines(files[0], 2))
    return False


def _are_first(lines: list[str]) -> bool:
    return len(lines) == 2 and REFERENCE_LINE.fullmatch(lines[0]) is not None and is_hypothesis_line(lines[1])


FORMAT = Format(
    name="switchboard-ws97",
    about="Switchboard 10-best lists of the 1997 workshop: a folder with one file for each utterance",
    fits=_fits,
    read=plain(read_switchboard),
    scores_known=True,
)
