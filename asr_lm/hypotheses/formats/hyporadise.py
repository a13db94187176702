"""HyPoradise lists: hypotheses and transcript of each utterance, made for generative error correction.

A JSON array (or JSON Lines) of ``{"input": ["hypothesis", …], "output": "reference", "score": [-0.19, …]}``, best
first. The scores of Whisper's beam search (average log-probability of a token, natural logarithm) are called ``score``
or ``am_score``, or are not there; the name is kept. ``id`` is there in some files. Source: C. Chen et al.,
"HyPoradise: An Open Baseline for Generative Speech Recognition with Large Language Models", 2023.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from asr_lm.counted import counted
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.json_records import decode_record, json_records
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location


class _Entry(msgspec.Struct):
    input: list[str]
    output: str | None = None
    id: str | None = None
    score: list[float] | None = None
    am_score: list[float] | None = None


def read_hyporadise(path: Path) -> Located:
    """Utterances of a HyPoradise list; where no entry has an id they are called ``utt-000001`` and so on.

    Raises:
        InputError: an entry is malformed, some entries have ids and some not, or scores and hypotheses differ in
            number.
    """
    decoder = msgspec.json.Decoder(_Entry)
    named: bool | None = None
    for number, (place, raw) in enumerate(json_records(path), 1):
        entry = decode_record(decoder, raw, place)
        if named is None:
            named = entry.id is not None
        if named != (entry.id is not None):
            raise place.error("some entries have an id and some have none, expected all or none", entry.id, "id")
        identity = f"utt-{number:06d}" if entry.id is None else entry.id
        yield place, Utterance(identity, _hypotheses(entry, place, identity), entry.output)


def _hypotheses(entry: _Entry, place: Location, identity: str) -> tuple[Hypothesis, ...]:
    columns = {"score": entry.score, "am_score": entry.am_score}
    given = {name: column for name, column in columns.items() if column is not None}
    for name, column in given.items():
        if len(column) != len(entry.input):
            texts = counted(len(entry.input), "hypothesis", "hypotheses")
            raise place.error(f"{counted(len(column), 'score')} for {texts}, expected one each", identity, name)
    return tuple(
        Hypothesis(text, {name: column[rank] for name, column in given.items()})
        for rank, text in enumerate(entry.input)
    )


def _fits(beginning: Beginning) -> bool:
    """Whether the first record has a list of inputs, or any input and no hypotheses."""
    record = beginning.first
    if not isinstance(record, dict) or "input" not in record:
        return False
    return isinstance(record["input"], list) or "hypotheses" not in record


FORMAT = Format(
    name="hyporadise",
    about="HyPoradise lists: a JSON array of input (hypotheses), output (reference), score or am_score",
    fits=_fits,
    read=plain(read_hyporadise),
)
