"""What normalisers lose of other scripts is counted, told and, where it is most, refused."""

from __future__ import annotations

import pytest

from asr_lm.errors import InputError
from asr_lm.text.lost_letters import LostLetters, fitting_normalizer
from asr_lm.text.normalizer import NORMALIZERS


def lost(normalizer: str, *lines: str) -> LostLetters:
    counted = LostLetters(normalizer)
    assert list(counted.watched(lines)) == list(lines)
    return counted


@pytest.mark.parametrize(
    "line", ["Zoë's naïve café œuvre — „Łódź“ n°5…", "ﬁnd 𝐇𝐞𝐥𝐥𝐨 straße", "it's 9 o'clock", "", "…"]
)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_letters_that_turn_into_others_are_not_lost(name: str, line: str) -> None:
    counted = lost(name, line)
    assert (counted.lost, counted.warning) == (0, None)
    counted.check()


@pytest.mark.parametrize(
    ("line", "letters", "fitting"),
    [("привет, мир", 9, "unicode"), ("你好 world", 2, "chinese"), ("हिन्दी", 3, "unicode"), ("カラス", 3, "chinese")],
)
def test_letters_of_another_script_are_lost_to_an_english_normaliser(line: str, letters: int, fitting: str) -> None:
    counted = lost("librispeech", line)
    assert counted.lost == letters
    assert counted.warning is not None
    assert f"{fitting!r} keeps them" in counted.warning
    for name in ("as-is", "unicode"):
        assert lost(name, line).lost == 0


def test_one_line_in_a_thousand_is_let_pass() -> None:
    assert lost("librispeech", "дом", *["a house"] * 999).warning is None
    assert "in 2 of 1,001 lines" in (lost("librispeech", "дом", "дом", *["a house"] * 999).warning or "")


def test_a_text_of_which_most_is_lost_is_refused() -> None:
    lost("librispeech", "дом", "abc").check()
    with pytest.raises(InputError, match=r"wer_normalizer: the normaliser 'librispeech' loses 60\.0 % of"):
        lost("librispeech", "дом", "ab").check("wer_normalizer")


def test_what_fits_is_told_by_most_letters() -> None:
    assert fitting_normalizer("字字a") == "chinese"
    assert fitting_normalizer("字aa") == "unicode"
