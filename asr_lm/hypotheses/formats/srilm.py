"""SRILM's n-best lists: a file for each utterance, in a folder or alone.

* its own form: ``acoustic lm words w1 w2 …`` on each line, base-10 logarithms and the number of words;
* ``NBestList1.0``: ``(score) w1 w2 …``, and ``NBestList2.0``: ``(score) w1 ( st: … et: … g: … a: … ) …``, bytelogs.

A bytelog is a natural logarithm times 10000.5 / 1024. The id is the name of the file without suffix. Source: SRILM's
``nbest-format(5)`` and ``Prob.h``.
"""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.records import stem_of
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal

BYTELOG = 1024.0 / 10000.5
HEADERS = ("NBestList1.0", "NBestList2.0")
NO_WORDS = frozenset(("<s>", "</s>"))

_BYTELOG_LINE = re.compile(r"\((\S+)\)(.*)")
_BACKTRACE = re.compile(r"\(\s*st:[^)]*\)")


def files_of(path: Path) -> list[Path]:
    """The lists of a folder in the order of their names, or the file alone."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))


def read_srilm(path: Path) -> Located:
    """Utterances of a folder or file.

    Raises:
        InputError: a line is of none of the forms, or its number of words is wrong.
    """
    for file in files_of(path):
        name, identity = display_name(file), stem_of(file)
        hypotheses, is_bytelog = [], False
        for number, line in iterate_text(file):
            if number == 1 and line.strip() in HEADERS:
                is_bytelog = True
            elif line.strip():
                parse = _bytelog if is_bytelog else _plain
                hypotheses.append(parse(line.strip(), Location(name, number), identity))
        yield Location(name, 1), Utterance(identity, tuple(hypotheses))


def _bytelog(line: str, place: Location, identity: str) -> Hypothesis:
    match = _BYTELOG_LINE.fullmatch(line)
    if match is None:
        raise place.error("expected (score) and the words", identity)
    words = _BACKTRACE.sub(" ", match[2]).split()
    return Hypothesis(_text(words), {"score": _number(match[1], place, identity) * BYTELOG})


def _plain(line: str, place: Location, identity: str) -> Hypothesis:
    fields = line.split()
    if not _is_plain(line):
        raise place.error("expected acoustic score, language model score, number of words and the words", identity)
    acoustic, lm = (_number(field, place, identity) * math.log(10.0) for field in fields[:2])
    return Hypothesis(_text(fields[3:]), {"acoustic": acoustic, "lm": lm})


def _text(words: list[str]) -> str:
    return " ".join(word for word in words if word not in NO_WORDS)


def _number(text: str, place: Location, identity: str) -> float:
    value = decimal(text)
    if value is None:
        raise place.error(not_decimal(text), identity, "score")
    return value


def _is_plain(line: str) -> bool:
    fields = line.split()
    if len(fields) < 3 or not fields[2].isdecimal() or len(fields[2]) > 6:
        return False
    words = [word for word in fields[3:] if word not in NO_WORDS]
    return None not in map(decimal, fields[:2]) and int(fields[2]) in (len(words), len(fields) - 3)


def _fits(beginning: Beginning) -> bool:
    """Whether the file, or each of the first files of the folder, begins like one of the forms."""
    if not beginning.is_folder:
        lines = beginning.lines[:5]
        return bool(lines) and (lines[0].strip() in HEADERS or all(map(_is_plain, lines)))
    with contextlib.suppress(InputError):
        return bool(beginning.files) and all(_fits(Beginning(file)) for file in beginning.files[:3])
    return False


FORMAT = Format(
    name="srilm",
    about="SRILM's n-best lists, a file an utterance: acoustic, lm, words and text, or NBestList1.0 and 2.0",
    fits=_fits,
    read=plain(read_srilm),
    scores_known=True,
)
