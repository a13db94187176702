from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.evaluation.spacing import SpacingErrors, count_spacing, spacing_errors
from asr_lm.evaluation.word_errors import count_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a u s air", "a us air", (2, 2)),
        ("at five p m on monday", "at fivepm in monday", (4, 3)),
        ("fly to boston", "fly to austin", (1, 0)),
        ("new york", "newyork", (2, 2)),
        ("the big new york", "the a newyork", (3, 2)),
        ("same", "same", (0, 0)),
        ("", "word", (1, 0)),
        ("word", "", (1, 0)),
    ],
)
def test_worked_by_hand(reference: str, hypothesis: str, expected: tuple[int, int]) -> None:
    assert count_spacing(reference.split(), hypothesis.split()) == expected


words = st.lists(st.text("ab", min_size=1, max_size=3), max_size=6)


@given(words, words)
def test_errors_are_those_of_the_word_error_rate_and_spacing_is_part_of_them(said: list[str], heard: list[str]) -> None:
    errors, spacing = count_spacing(said, heard)
    assert errors == int(count_errors([" ".join(said)], [" ".join(heard)], "word")[0, :3].sum())
    assert 0 <= spacing <= errors


@given(words, st.integers(0, 5))
def test_other_boundaries_alone_are_all_spacing(said: list[str], place: int) -> None:
    heard = [*said[:place], "".join(said[place : place + 2]), *said[place + 2 :]] if said[place : place + 2] else said
    errors, spacing = count_spacing(said, heard)
    assert spacing == errors


def test_utterances_without_a_reference_are_left_out() -> None:
    found = spacing_errors(["u s", None, "a b"], {"x": ["us", "whatever", "a c"]})
    assert found == {"x": SpacingErrors(errors=3, spacing=2, reference_words=4)}
    assert found["x"].rate_of_others == 25.0
    assert spacing_errors([None], {"x": ["a"]}) == {}
    assert SpacingErrors(1, 0, 0).rate_of_others is None
