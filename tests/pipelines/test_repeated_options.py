"""Values of an option: all after it, or one after each, and none is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
import tyro

from asr_lm.errors import InputError
from pipelines.command import parse


@dataclass
class Inner:
    rate: float = 1.0


@dataclass
class Arguments:
    """Options of every kind."""

    lists: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    texts: tuple[Path, ...] = ()
    numbers: tuple[int, ...] = ()
    out: str = ""
    cache_folder: str = ""
    quiet: bool = False
    inner: Inner = field(default_factory=Inner)
    bare: Annotated[Inner, tyro.conf.OmitArgPrefixes] = field(default_factory=Inner)


def read(line: str) -> dict[str, Any]:
    return {name: value for name, value in vars(parse(Arguments, "x", None, words=line.split())).items() if value}


@pytest.mark.parametrize("option", ["lists", "texts"])
@pytest.mark.parametrize(
    "line", ["--{0} a b c", "--{0} a --{0} b --{0} c", "--{0} a b --out o --{0} c", "--{0}=a --{0} b c --quiet"]
)
def test_values_may_stand_together_or_apart(option: str, line: str) -> None:
    assert [str(value) for value in read(line.format(option))[option]] == ["a", "b", "c"]


def test_negative_numbers_and_standard_input_are_values() -> None:
    assert read("--numbers 1 -2 --numbers -3")["numbers"] == (1, -2, -3)
    assert read("--lists - a")["lists"] == ("-", "a")


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("--out a --out b", "out"),
        ("--out=a --lists x --out b", "out"),
        ("--cache-folder a --cache_folder b", "cache_folder"),
        ("--inner.rate 1 --inner.rate 2", "inner.rate"),
        ("--rate 1 --rate 2", "rate"),
    ],
)
def test_one_value_is_not_replaced_by_another(line: str, option: str) -> None:
    with pytest.raises(InputError, match="given twice") as error:
        read(line)
    assert error.value.parameter == option


def test_flags_and_nested_options_stay() -> None:
    found = parse(Arguments, "x", None, words=["--quiet", "--inner.rate", "2", "--rate", "3", "--no-quiet"])
    assert (found.quiet, found.inner.rate, found.bare.rate) == (False, 2.0, 3.0)
