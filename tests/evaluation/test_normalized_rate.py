"""The part of an error rate that is how texts are written."""

from __future__ import annotations

import pytest

from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import compare
from asr_lm.evaluation.normalized_rate import normalized_rate

SAID = ["the ferry leaves at forty two", "we moored the boat", "it is the old pier", None]
HEARD = ["The ferry leaves at 42.", "We mowed the boat.", "It's the old pier.", "so"]


def test_nothing_is_told_where_texts_are_written_alike() -> None:
    assert normalized_rate(["the ferry", "so late"], ["the fairy", "so late"]) is None
    assert normalized_rate([None], ["the fairy"]) is None
    assert normalized_rate([], []) is None
    assert normalized_rate([""], ["a"]) is None


def test_casing_and_punctuation_are_told_with_what_leaves_them_out() -> None:
    found = normalized_rate(["the ferry is late", "so"], ["The Ferry is late.", "so"])
    assert found is not None
    assert (found.normalizer, found.rate, found.plain, found.utterances) == ("unicode", 0.0, 60.0, 2)


def test_numbers_and_contractions_are_english() -> None:
    found = normalized_rate(SAID, HEARD)
    assert found is not None
    assert found.normalizer == "english"
    assert found.rate == pytest.approx(100 / 14)  # "mowed" of five, four and five words
    assert found.utterances == 3


def test_what_is_counted_with_already_is_the_measure() -> None:
    assert normalized_rate(SAID, HEARD, normalizer="english") is None
    found = normalized_rate(SAID, HEARD, normalizer="unicode")
    assert found is not None
    assert found.normalizer == "english"


def test_chinese_without_spaces() -> None:
    found = normalized_rate(["今天天气很好"], ["今天天汽很好"])
    assert found is not None
    assert (found.normalizer, found.plain) == ("chinese", 100.0)
    assert found.rate == pytest.approx(100 / 6)


def test_words_that_are_written_apart_stay_words() -> None:
    assert normalized_rate(["今天 天气 很 好"], ["今天 天汽 很 好"]) is None
    found = normalized_rate(["今天 天气 很 好"], ["今天 天汽 很 好。"])
    assert found is not None
    assert found.normalizer == "unicode"


def test_a_comparison_tells_it() -> None:
    comparison = compare(SAID, {"first_pass": HEARD})
    assert comparison.normalized == normalized_rate(SAID, HEARD)
    assert comparison.to_json()["normalized"]["normalizer"] == "english"
    assert "normalized" not in compare(["a"], {"first_pass": ["a"]}).to_json()


def test_a_normaliser_that_loses_the_references_is_refused_or_told() -> None:
    with pytest.raises(InputError, match=r"normalizer: the normaliser 'librispeech' loses .* 'unicode' keeps them"):
        compare(["привет мир"], {"first_pass": ["мир"]}, normalizer="librispeech")
    mixed = compare(["the house", "a дом"], {"first_pass": ["the house", "a house"]}, normalizer="librispeech")
    assert "in 1 of 2 lines" in (mixed.lost or "")
