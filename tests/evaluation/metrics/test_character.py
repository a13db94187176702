"""Characters are counted as the Mandarin literature counts them."""

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.evaluation.word_errors import ErrorCounts, count_errors, tokens

TEXTS = st.text("今天气很好ab \t", min_size=1).filter(str.strip)
PAIRS = st.lists(st.tuples(TEXTS, st.text("今天汽很坏ab ")), min_size=1, max_size=6)


def unspaced(text):
    return "".join(text.split())


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_the_rate_is_jiwers_of_texts_without_spaces(pairs):
    references, hypotheses = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    total = ErrorCounts.from_counts(count_errors(references, hypotheses, "character"))
    expected = jiwer.process_characters(list(map(unspaced, references)), list(map(unspaced, hypotheses)))
    assert total.rate == pytest.approx(100 * expected.cer)
    assert (total.substitutions, total.deletions, total.insertions) == (
        expected.substitutions,
        expected.deletions,
        expected.insertions,
    )


def test_a_space_is_no_character():
    assert tokens("今天 天气 很 好", "character") == list("今天天气很好")
    assert count_errors(["今天 天气 很 好"], ["今天天汽很好"], "character").tolist() == [[1, 0, 0, 6]]
    assert count_errors(["the cat", "sat down"], ["thecat ", "set town"], "character").tolist() == [
        [0, 0, 0, 6],
        [2, 0, 0, 7],
    ]


def test_a_latin_letter_is_a_character():
    assert tokens("用 iphone 打 hello world", "character") == list("用iphone打helloworld")
    assert count_errors(["用 iphone"], ["用 ipone"], "character").tolist() == [[0, 1, 0, 7]]
