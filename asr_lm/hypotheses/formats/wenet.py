"""What WeNet's ``decoder_main --nbest`` prints: ``wav KEY``, then ``candidate SCORE TEXT`` for each hypothesis.

Source: ``runtime/core/bin/decoder_main.cc``.
"""

from __future__ import annotations

import re
from pathlib import Path

from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location, decimal, not_decimal

_WAV = re.compile(r"wav\s+(\S+)")
_CANDIDATE = re.compile(r"candidate\s+(\S+)\s?(.*)")


def read_wenet(path: Path) -> Located:
    """Utterances of the file.

    Raises:
        InputError: a line is neither ``wav`` nor ``candidate``, or a score no number.
    """
    name = display_name(path)
    identity, place, hypotheses = "", Location(name), list[Hypothesis]()
    for number, line in iterate_text(path):
        here = Location(name, number)
        if match := _WAV.fullmatch(line.strip()):
            if identity:
                yield place, Utterance(identity, tuple(hypotheses))
            identity, place, hypotheses = match[1], here, []
        elif (match := _CANDIDATE.fullmatch(line.strip())) and identity:
            value = decimal(match[1])
            if value is None:
                raise here.error(not_decimal(match[1]), identity, "score")
            hypotheses.append(Hypothesis(match[2].strip(), {"score": value}))
        elif line.strip():
            raise here.error("expected a line 'wav KEY' or 'candidate SCORE TEXT'")
    if identity:
        yield place, Utterance(identity, tuple(hypotheses))


def _fits(beginning: Beginning) -> bool:
    """Whether the first two lines are one of each kind."""
    lines = beginning.lines
    return len(lines) > 1 and bool(_WAV.fullmatch(lines[0].strip()) and _CANDIDATE.fullmatch(lines[1].strip()))


FORMAT = Format(
    name="wenet",
    about="WeNet's decoder_main --nbest: wav KEY, then candidate SCORE TEXT for each hypothesis",
    fits=_fits,
    read=plain(read_wenet),
    advice="run decoder_main with --nbest 10",
)
