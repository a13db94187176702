"""HTK master label files with alternatives: ``"*/utt.rec"``, words with their scores, ``///`` between hypotheses.

An utterance ends in a line with a dot. A line is ``[start [end]] word [score]``; times are in units of 100 ns. The
score of a hypothesis is the sum of its words' (natural logarithms). ``!NULL``, ``!ENTER``, ``!EXIT``, ``<s>``,
``</s>``, ``SENT-START`` and ``SENT-END`` are no words. Source: The HTK Book 3.4, section 6.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal

HEADER = "#!MLF!#"
NO_WORDS = frozenset(("!NULL", "!ENTER", "!EXIT", "<s>", "</s>", "SENT-START", "SENT-END"))

_NAME = re.compile(r'"(?:.*/)?([^/"]+?)(?:\.\w+)?"')


def read_mlf(path: Path) -> Located:
    """Utterances of the file; the id is the name of the label file without folder and suffix.

    Raises:
        InputError: there is no header, or a line is none of the above.
    """
    name = display_name(path)
    identity, start = "", 1
    lines: list[tuple[Location, list[str]]] = []
    for number, line in iterate_text(path):
        place, fields = Location(name, number), line.split()
        if number == 1 and line.strip() != HEADER:
            raise place.error(f"expected {HEADER}")
        if number == 1 or not fields:
            continue
        if not identity:
            match = _NAME.fullmatch(line.strip())
            if match is None:
                raise place.error("expected the name of a label file in quotes")
            identity, start, lines = match[1], number, []
        elif fields == ["."]:
            yield Location(name, start), Utterance(identity, tuple(_hypotheses(lines, identity)))
            identity = ""
        else:
            lines.append((place, fields))
    if identity:
        raise Location(name, start).error("the labels do not end in a line with a dot", identity)


def _hypotheses(lines: list[tuple[Location, list[str]]], identity: str) -> Iterator[Hypothesis]:
    words: list[str] = []
    scores: list[float] = []
    for place, fields in [*lines, (Location(lines[-1][0].file if lines else ""), ["///"])]:
        if fields == ["///"]:
            if words and len(scores) not in (0, len(words)):
                raise place.error("some words have scores and some have none", identity)
            kept = [word for word in words if word not in NO_WORDS]
            yield Hypothesis(" ".join(kept), {"score": sum(scores)} if scores else {})
            words, scores = [], []
            continue
        times = 0
        while times < 2 and times < len(fields) - 1 and fields[times].lstrip("-").isdigit():
            times += 1
        words.append(fields[times].strip('"'))
        if len(fields) > times + 1:
            score = decimal(fields[times + 1])
            if score is None:
                raise place.error(f"score {fields[times + 1]!r} is not usable, expected a number", identity)
            scores.append(score)


def _fits(beginning: Beginning) -> bool:
    """Whether the file begins with the header and has alternatives."""
    return beginning.lines[:1] == [HEADER] and "///" in (line.strip() for line in beginning.lines)


FORMAT = Format(
    name="htk-mlf",
    about="HTK master label files with alternatives (HVite -n): words with scores, /// between hypotheses",
    fits=_fits,
    read=plain(read_mlf),
    scores_known=True,
)
