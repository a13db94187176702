"""Options that take several values: all after one option, or one after each, mean the same.

A shell makes ``--nbest a.json b.json`` of ``--nbest *.json``; a script writes ``--nbest a.json --nbest b.json``.
Of an option that takes one value a second one is refused, since one of the two would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import tyro

from asr_lm.errors import InputError


class _Kind(NamedTuple):
    """What may follow an option.

    Attributes:
        many: any number of values.
        repeats: the parser wants the option before each of them.
        flag: none at all.
    """

    many: bool
    repeats: bool
    flag: bool


def in_one_form(words: Sequence[str], arguments: type[Any]) -> list[str]:
    """The words of a command line with the values of each option as the parser of ``arguments`` wants them.

    Raises:
        InputError: an option that takes one value is given twice.
    """
    kinds = dict(_kinds(arguments))
    read: list[list[str]] = []
    given: dict[str, list[str]] = {}
    for option, values in _groups(words):
        name = option.partition("=")[0].replace("_", "-")
        kind = kinds.get(name)
        if kind is None or kind.flag:
            read.append([option, *values])
            continue
        if "=" in option:
            option, values = option.partition("=")[0], [option.partition("=")[2], *values]
        if not kind.many and name in given:
            raise InputError("given twice", parameter=name.removeprefix("--").replace("-", "_"))
        if kind.many and not kind.repeats and name in given:
            given[name] += values
            continue
        if kind.many and kind.repeats and values:
            read += [[option, value] for value in values]
            continue
        given[name] = [option, *values]
        read.append(given[name])
    return [word for group in read for word in group]


def _groups(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with the words that follow it; words before the first one are groups of their own."""
    begin = 0
    while begin < len(words):
        end = begin + 1
        while words[begin].startswith("--") and end < len(words) and not words[end].startswith("--"):
            end += 1
        yield words[begin], list(words[begin + 1 : end])
        begin = end


def _kinds(arguments: type[Any], prefix: str = "") -> Iterator[tuple[str, _Kind]]:
    for name, hint in get_type_hints(arguments, include_extras=True).items():
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        plain = get_args(hint)[0] if marks else hint
        if is_dataclass(plain) and isinstance(plain, type):
            inner = "" if tyro.conf.OmitArgPrefixes in marks else f"{prefix}{name}."
            yield from _kinds(plain, inner)
            continue
        many = get_origin(plain) is tuple and Ellipsis in get_args(plain)
        option = "--" + (prefix + name).replace("_", "-")
        yield option, _Kind(many, tyro.conf.UseAppendAction in marks, plain is bool)
