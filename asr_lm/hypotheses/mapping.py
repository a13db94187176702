"""Where the fields of a list lie: paths into records, and what the scores mean.

A mapping is a line of assignments, on the command line (``--map``) or in a TOML file with the same names::

    id=utt_id reference=ref text=nbest[].text acoustic=-0.1*nbest[].acwt lm=log10(nbest[].lm)

=====================  ==========================================================================================
``text``               the texts of the hypotheses; needed
``id``, ``reference``  of the utterance; without an id utterances are numbered
``recording``          the recording an utterance is of
``rank``               of the hypothesis, where the records are not in this order
``utterances``         where the utterances lie in a record: ``results[]``, or ``{}`` for a dictionary by id
any other name         a score of this name
=====================  ==========================================================================================

Paths begin at the utterance. ``a.b`` is the entry ``b`` of ``a``; ``a[0]`` the first element of a list, ``a[]`` each of
them; ``a{}`` each value of a dictionary; ``hyp*`` the entries ``hyp1``, ``hyp2``, … in the order of their numbers;
``.`` the utterance itself; ``"a name"`` in quotes takes any name. Columns of a table without header are ``[0]``,
``[1]``, ….
A text without ``[]``, ``{}`` or ``*`` means that a record is one hypothesis: records of one id are an utterance.
A list of words is a text, too (pieces that begin with ▁ are joined).

A score is a path with an optional sign and factor (``-acwt``, ``-0.1*acwt``), or ``log10(path)``, ``log2(path)`` or
``probability(path)``, which are turned into natural logarithms. ``(path)-(path)`` is a difference.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from asr_lm.errors import InputError
from asr_lm.files import read_bytes
from asr_lm.hypotheses.validation import decimal

RESERVED = ("utterances", "id", "reference", "recording", "rank", "text")
KINDS = {"natural": 1.0, "log10": math.log(10.0), "log2": math.log(2.0), "probability": 1.0}

_STEP = re.compile(
    r'"((?:[^"\\]|\\.)*)"|\[(-?\d{0,6})\]|(\{\})|([^.\[\]{}"*\s]+)?(\*)([^.\[\]{}"*\s]*)|([^.\[\]{}"*\s]+)|(\.)'
)
_ITEM = re.compile(r'\s*([^\s=,"]+)\s*=\s*((?:"(?:[^"\\]|\\.)*"|[^\s,"])+)\s*,?')
_SCORE = re.compile(r"(?:([+-]?[\d.eE+-]*\d\.?)\*|([+-]))?(?:(log10|log2|probability)\((.*)\)|(.*))", re.DOTALL)
_DIFFERENCE = re.compile(r"\((.+)\)-\((.+)\)", re.DOTALL)
_NUMBERED = re.compile(r"\d{1,9}", re.ASCII)

_MOST_BYTES = 1 << 20

MISSING: Any = object()
"""What a path gives where there is nothing."""


class Step(NamedTuple):
    """One step of a path: ``key``, ``index``, ``each`` (of a list), ``values`` (of a dictionary) or ``numbered``."""

    kind: str
    name: str = ""
    end: str = ""


Steps = tuple[Step, ...]


def parse_path(text: str) -> Steps:
    """The steps of a path.

    Raises:
        InputError: it is no path.
    """
    steps, position = [], 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            message = f"{text!r} is no path into a record, expected the like of nbest[].text"
            raise InputError(message, parameter="mapping")
        position = match.end()
        quoted, index, values, before, star, after, key, _ = match.groups()
        if quoted is not None:
            steps.append(Step("key", re.sub(r"\\(.)", r"\1", quoted)))
        elif index is not None:
            steps.append(Step("index", index) if index else Step("each"))
        elif values:
            steps.append(Step("values"))
        elif star:
            steps.append(Step("numbered", before or "", after))
        elif key:
            steps.append(Step("key", key))
    return tuple(steps)


def written(steps: Steps) -> str:
    """The path as a user writes it."""
    parts: list[str] = []
    for step in steps:
        if step.kind == "key":
            name = step.name if re.fullmatch(r'[^.\[\]{}"*\s=,()]+', step.name) else '"' + _escaped(step.name) + '"'
            parts.append(f".{name}" if parts else name)
        elif step.kind == "numbered":
            parts.append(f"{'.' if parts else ''}{step.name}*{step.end}")
        else:
            parts.append({"index": f"[{step.name}]", "each": "[]", "values": "{}"}[step.kind])
    return "".join(parts) or "."


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def is_many(steps: Steps | None) -> bool:
    """Whether a path gives any number of values."""
    return any(step.kind in ("each", "values", "numbered") for step in steps or ())


def follow(steps: Steps, value: Any, key: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """The values that a path leads to, each with the last key of a dictionary that it passed by ``{}``."""
    for position, step in enumerate(steps):
        if step.kind == "key":
            value = value.get(step.name, MISSING) if isinstance(value, dict) else MISSING
        elif step.kind == "index":
            value = _element(value, int(step.name))
        else:
            rest = steps[position + 1 :]
            for found, entry in _entries(step, value):
                yield from follow(rest, entry, found or key)
            return
    yield key, value


def _element(value: Any, index: int) -> Any:
    if not isinstance(value, (list, tuple)) or not -len(value) <= index < len(value):
        return MISSING
    return value[index]


def _entries(step: Step, value: Any) -> list[tuple[str | None, Any]]:
    if step.kind == "each":
        return [(None, entry) for entry in value] if isinstance(value, (list, tuple)) else []
    if not isinstance(value, dict):
        return []
    if step.kind == "values":
        return list(value.items())
    numbered = [(number, entry) for name, entry in value.items() if (number := numbering(step, name)) is not None]
    return [(None, entry) for _, entry in sorted(numbered, key=lambda pair: pair[0])]


def numbering(step: Step, name: str) -> int | None:
    """The number in a name such as ``hyp2``, where it fits the step ``hyp*``."""
    middle = name[len(step.name) : len(name) - len(step.end)] if name.startswith(step.name) else ""
    return int(middle) if name.endswith(step.end) and _NUMBERED.fullmatch(middle) else None


@dataclass(frozen=True)
class Score:
    """One score: its name, where it lies, its factor, what kind of number it is, and what is taken away from it."""

    name: str
    path: Steps
    factor: float = 1.0
    kind: str = "natural"
    minus: Steps | None = None

    def natural(self, value: float) -> float | None:
        """The natural logarithm; None of a probability that has none."""
        if self.kind == "probability":
            return self.factor * math.log(value) if value > 0 else None
        return value * self.factor * KINDS[self.kind]

    def __str__(self) -> str:
        path = written(self.path)
        if self.minus is not None:
            return f"{self.name}=({path})-({written(self.minus)})"
        inner = path if self.kind == "natural" else f"{self.kind}({path})"
        factor = "" if self.factor == 1 else "-" if self.factor == -1 else f"{self.factor:g}*"
        return f"{self.name}={factor}{inner}"


@dataclass(frozen=True)
class Mapping:
    """Where everything lies; ``None`` where there is nothing (see the module for what the fields mean).

    ``left`` are paths that are left knowingly although they look like a score, a reference or an id.
    """

    text: Steps
    utterances: Steps = ()
    id: Steps | None = None
    reference: Steps | None = None
    recording: Steps | None = None
    rank: Steps | None = None
    scores: tuple[Score, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_by_rows(self) -> bool:
        """Whether a record is one hypothesis."""
        return not is_many(self.text)

    def paths(self) -> list[Steps]:
        """Every path that is read in an utterance."""
        fields = [self.text, self.id, self.reference, self.recording, self.rank]
        return [path for path in fields if path is not None] + [
            path for score in self.scores for path in (score.path, score.minus) if path is not None
        ]

    def __str__(self) -> str:
        parts: list[str] = [f"utterances={written(self.utterances)}"] if self.utterances else []
        for name in RESERVED[1:]:
            path = getattr(self, name)
            parts += [] if path is None else [f"{name}={written(path)}"]
        return " ".join(parts + [str(score) for score in self.scores])


def parse_mapping(*lines: str) -> Mapping:
    """A mapping from lines of assignments; a line that ends in ``.toml`` names a file.

    Raises:
        InputError: a line is no mapping, or text is missing.
    """
    given: dict[str, str] = {}
    for line in lines:
        items = _from_file(line.strip()) if line.strip().endswith(".toml") else _assignments(line)
        for name, value in items:
            if name in given:
                raise InputError(f"{name} is given twice", parameter="mapping")
            given[name] = value
    if "text" not in given:
        message = "where is the text of the hypotheses? expected the like of text=nbest[].text"
        raise InputError(message, parameter="mapping")
    paths = {name: parse_path(given[name]) for name in RESERVED if name in given}
    scores = tuple(_score(name, value) for name, value in given.items() if name not in RESERVED)
    text = paths.pop("text")
    return Mapping(text, scores=scores, **paths)  # type: ignore[arg-type]


def _assignments(line: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(line.rstrip()):
        match = _ITEM.match(line, position)
        if match is None:
            message = f"{line[position:].strip()!r} is no assignment, expected the like of text=nbest[].text"
            raise InputError(message, parameter="mapping")
        yield match[1], match[2]
        position = match.end()


def _from_file(name: str) -> Iterator[tuple[str, str]]:
    content = read_bytes(Path(name), _MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InputError(f"has more than {_MOST_BYTES:,} bytes, expected a mapping", file=name)
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of thousands of digits
        raise InputError(f"no TOML ({error})", file=name) from None
    scores = document.pop("scores", {})
    for field, value in (document | scores if isinstance(scores, dict) else document).items():
        if not isinstance(value, str):
            raise InputError("expected a path in quotes", file=name, field=field)
        yield field, value


def _score(name: str, text: str) -> Score:
    if difference := _DIFFERENCE.fullmatch(text):
        return Score(name, parse_path(difference[1]), minus=parse_path(difference[2]))
    match = _SCORE.fullmatch(text)
    if match is None or not (match[4] or match[5]):
        raise InputError(f"{text!r} is no score, expected the like of -0.1*nbest[].acwt", parameter="mapping")
    number, sign, kind, inner, path = match.groups()
    factor = decimal(number) if number else -1.0 if sign == "-" else 1.0
    if factor is None or factor == 0:
        raise InputError(f"{number!r} is no factor of a score, expected a number other than 0", parameter="mapping")
    return Score(name, parse_path(inner or path), factor, kind or "natural")
