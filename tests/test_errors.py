"""Errors name what a reader can act on: the library its parameters, the commands their options."""

from __future__ import annotations

import pytest

from asr_lm.errors import InputError
from pipelines.command import as_typed


@pytest.mark.parametrize(
    ("parameter", "option"), [("batch_tokens", "--batch-tokens"), ("models", "--lm"), ("development", "--dev")]
)
def test_a_command_names_the_option_where_the_library_names_a_parameter(parameter: str, option: str) -> None:
    error = InputError("7, a number below 5 was expected", parameter=parameter)
    assert str(error) == f"{parameter}: 7, a number below 5 was expected"
    assert as_typed(error) == f"{option}: 7, a number below 5 was expected"


def test_an_error_gets_a_place_without_being_changed() -> None:
    error = InputError("empty", line=2)
    placed = error.located(file="dev.json", utterance="u1", line=9)
    assert str(error) == "line 2: empty"
    assert str(placed) == "dev.json:2, utterance 'u1': empty"
