"""NIST's TRN with several hypotheses: ``text (utterance-N)`` on each line, or alternations ``{ a / b }`` in the text.

An alternation stands for each of its members, ``@`` for nothing; they may be nested. The hypotheses of a line are all
combinations, those with early members first. Source: SCTK documentation, ``infmts``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name, iterate_text
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.numbered_keys import are_ranks, grouped
from asr_lm.hypotheses.sclite import COMMENT, TRN_LINE, unescaped
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location

LARGEST = 10_000
"""Combinations that the alternations of one line may have."""

_Combination = tuple[tuple[int, ...], tuple[str, ...]]


def lines_of(path: Path) -> Iterator[tuple[Location, str, str]]:
    """Location, id and text of each line.

    Raises:
        InputError: a line does not end in an id in parentheses.
    """
    name = display_name(path)
    for number, line in iterate_text(path):
        if not line.strip() or line.startswith(COMMENT):
            continue
        match = TRN_LINE.fullmatch(line.strip())
        if match is None:
            raise InputError("expected text and an id in parentheses", file=name, line=number)
        yield Location(name, number), match[2], match[1].strip()


def read_trn(path: Path) -> Located:
    """Utterances of a TRN file.

    Raises:
        InputError: a line is no TRN, braces do not match, alternations have too many combinations.
    """
    if any("{" in text for _, _, text in itertools.islice(lines_of(path), 1000)):
        for place, identity, text in lines_of(path):
            yield place, Utterance(identity, tuple(map(Hypothesis, expanded(text, place, identity))))
    else:
        yield from grouped((place, key, Hypothesis(unescaped(text))) for place, key, text in lines_of(path))


def expanded(text: str, place: Location, identity: str) -> list[str]:
    """Each text that alternations stand for, without repetitions.

    Raises:
        InputError: braces do not match, or there are too many.
    """
    tokens = text.replace("{", " { ").replace("}", " } ").split()
    found, end = _sequence(tokens, 0, 0, place, identity)
    if end != len(tokens):
        raise place.error(f"{tokens[end]!r} without a brace before it", identity)
    ranked = sorted(found, key=lambda entry: sum(entry[0]))
    return list(dict.fromkeys(unescaped(" ".join(words)) for _, words in ranked))


def _sequence(
    tokens: list[str], position: int, depth: int, place: Location, identity: str
) -> tuple[list[_Combination], int]:
    """The combinations of the tokens up to the end of a member, and where that is."""
    if depth > 20:
        raise place.error("alternations nested too deeply", identity)
    found: list[_Combination] = [((), ())]
    while position < len(tokens) and tokens[position] != "}" and not (depth and tokens[position] == "/"):
        if tokens[position] == "{":
            members, position = _members(tokens, position + 1, depth + 1, place, identity)
            found = [(a + c, b + d) for a, b in found for c, d in members]
        else:
            word = () if tokens[position] == "@" else (tokens[position],)
            found = [(choice, (*words, *word)) for choice, words in found]
            position += 1
        if len(found) > LARGEST:
            raise place.error(f"alternations of more than {LARGEST:,} combinations", identity)
    return found, position


def _members(
    tokens: list[str], position: int, depth: int, place: Location, identity: str
) -> tuple[list[_Combination], int]:
    members: list[_Combination] = []
    for rank in itertools.count():
        found, position = _sequence(tokens, position, depth, place, identity)
        members += [((rank, *choice), words) for choice, words in found]
        if position == len(tokens):
            raise place.error("a brace is not closed", identity)
        position += 1
        if tokens[position - 1] == "}":
            return members, position
    raise AssertionError("unreachable: the count never ends")


def _fits(beginning: Beginning) -> bool:
    """Whether lines end in ids in parentheses, and are alternations or ranked."""
    matches = [TRN_LINE.fullmatch(line.strip()) for line in beginning.lines if not line.startswith(COMMENT)]
    if beginning.is_json or not matches or None in matches:
        return False
    pairs = [(match[2], match[1]) for match in matches if match]
    return any("{" in text and "/" in text for _, text in pairs) or are_ranks(pairs)


FORMAT = Format(
    name="trn",
    about="NIST's TRN: text (utterance-N) on each line, or alternations { a / b } in the text",
    fits=_fits,
    read=plain(read_trn),
)
