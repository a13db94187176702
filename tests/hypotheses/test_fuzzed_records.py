"""2,000 lists put together by chance from names and values as people use them: each is read whole, or refused."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses import field_names as names
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance

SCORES = ("score", "scores", "am", "lm_score", "confidence", "cost", "logp", "total", "Score", "nll", "x", "wer")
LISTS = (*names.LISTS[:24], "other")
TEXTS = (*names.TEXTS[:12], "other")
WORDS = ("one", "two", "three four", "", "zwölf", "{a / b}", "12", "-1.5", "\u2581one", 'say "x"', "a, b", "a\tb")
ODD = (None, True, 0, -3.5, 1e308, "tensor(-4.1)", "x", [], {}, [[]], [{}], {"a": 1}, ["one"], [1, 2], float("nan"))

INPUTS, PARTS = 2000, 8


def texts(chance: random.Random) -> list[str]:
    return [chance.choice(WORDS) for _ in range(chance.randint(0, 4))]


def number(chance: random.Random) -> Any:
    return chance.choice((chance.uniform(-9, 0), chance.uniform(0, 1), chance.randint(1, 90), "-4.1", "tensor(-4.11)"))


def hypothesis(chance: random.Random, text: str, fields: tuple[str, ...]) -> Any:
    kind = chance.random()
    if kind < 0.2:
        return text
    if kind < 0.4:
        return [text, number(chance)]
    return {fields[0]: text} | {name: number(chance) for name in fields[1:]}


def record(chance: random.Random, n: int, shape: random.Random) -> dict[str, Any]:
    """One record; records of one list have the same ``shape``."""
    fields = (shape.choice(TEXTS), *shape.sample(SCORES, shape.randint(0, 2)))
    kind, seed = shape.choice(names.LISTS[:24]), shape.random()
    found = {
        shape.choice(names.IDS[:12]): f"u{n}",
        kind: [hypothesis(random.Random(seed), text, fields) for text in texts(chance)],
    }
    if shape.random() < 0.5:
        found[shape.choice(names.REFERENCES)] = chance.choice(WORDS)
    if shape.random() < 0.5:
        found[shape.choice(SCORES)] = [number(chance) for _ in found[kind]]
    if chance.random() < 0.2:
        found[shape.choice((*LISTS, *TEXTS, *SCORES))] = chance.choice(ODD)
    return found


def content(seed: int) -> str:
    chance = random.Random(seed)
    number_of, shape = chance.randint(1, 4), chance.random()
    records = [record(chance, n, random.Random(shape)) for n in range(number_of)]
    layout = chance.randrange(6)
    if layout == 0:
        text = json.dumps(records)
    elif layout == 1:
        text = json.dumps({f"u{n}": chance.choice((each, list(each.values())[1])) for n, each in enumerate(records)})
    elif layout == 2:
        text = json.dumps({chance.choice(names.CONTAINERS): records})
    elif layout == 3:
        text = rows(chance)
    else:
        text = "".join(json.dumps(each) + "\n" for each in records)
    if chance.random() < 0.15:
        cut = chance.randrange(len(text) + 1)
        text = text[:cut] + chance.choice(("", "\0", "}", "]", "\n", '"', "\ud7ff", "1")) + text[cut + 1 :]
    return text


def rows(chance: random.Random) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=chance.choice(",\t;|"))
    header = [chance.choice(names.IDS[:12]), chance.choice(TEXTS), *chance.sample(SCORES, chance.randint(0, 2))]
    if chance.random() < 0.7:
        writer.writerow(header)
    for n in range(chance.randint(1, 4)):
        for text in texts(chance):
            writer.writerow([f"u{n}", text, *(number(chance) for _ in header[2:])])
    return stream.getvalue()


def outcome(path: Path) -> tuple[list[Utterance] | InputError, str]:
    reader = read_nbest(path)
    try:
        return list(reader), " ".join(reader.notices)
    except InputError as error:
        return error, ""


@pytest.mark.parametrize("part", range(PARTS))
def test_a_list_is_read_whole_or_refused(tmp_path: Path, part: int) -> None:
    path, read = tmp_path / "list", 0
    for seed in range(part, INPUTS, PARTS):
        path.write_text(content(seed), encoding="utf-8")
        utterances, said = outcome(path)
        if isinstance(utterances, InputError):
            assert utterances.message, seed
            assert utterances.file == str(path) or utterances.parameter, seed
            continue
        read += 1
        assert len({utterance.id for utterance in utterances}) == len(utterances), seed
        assert all(utterance.hypotheses for utterance in utterances), seed
        # What is not in the canonical form was read by a mapping, which names every score that it gives.
        scores = {name for utterance in utterances for each in utterance.hypotheses for name in each.scores}
        if "read as" in said:
            assert all(name.removeprefix("minus_").removeprefix("log_") in said for name in scores), seed
    assert read > INPUTS / PARTS / 8
