"""The sentence on top claims what the test bears, and no more."""

import pytest

from asr_lm.evaluation.comparison import compare
from asr_lm.report.verdict import verdict

SAID = [f"word{n} one two three" for n in range(40)]
WRONG = [text.replace("two", "too") for text in SAID]


def told(first, second, said=SAID):
    systems = {"first_pass": first, "lm": second, "oracle": [text or "" for text in said]}
    return " ".join(verdict(compare(said, systems), "lm")).replace("\u00a0", " ")


def test_a_clear_gain_is_a_gain():
    mixed = WRONG[:3] + SAID[3:]
    text = told(WRONG, mixed)
    assert "lm lowers the word error rate from 25.00 % (first pass) to 1.88 %" in text
    assert "p < 0.001" in text
    assert "92 % of the way from the first pass to the oracle" in text


def test_a_loss_is_told_in_words_not_as_a_negative_share():
    text = told(WRONG[:10] + SAID[10:], WRONG[:12] + SAID[12:])
    assert "farther from the oracle than the first pass, by 20 % of the distance between the two" in text
    assert "-" not in text
    assert "stays where the first pass is" in told(WRONG, [*SAID[:1], *WRONG[1:39], WRONG[39].replace("one", "won")])


def test_a_small_gain_may_be_chance():
    assert "may be chance (p =" in told(WRONG, SAID[:2] + WRONG[2:])


def test_a_loss_is_called_one():
    assert "lm raises the word error rate" in told(WRONG[:3] + SAID[3:], WRONG)


@pytest.mark.parametrize(
    ("first", "second", "said", "expected"),
    [
        (SAID, SAID, SAID, "makes no error"),
        (WRONG, WRONG, SAID, "leaves the word error rate where the first pass has it, at 25.00 %"),
        (WRONG[:1], SAID[:1], SAID[:1], "not enough data for a test"),
        (["a", "b"], ["c", ""], ["", ""], "no word, so there is no error rate"),
    ],
)
def test_what_cannot_be_said_is_not(first, second, said, expected):
    assert expected in told(first, second, said)


def test_where_another_system_decides_the_sentence_says_so():
    systems = {"first_pass": WRONG, "retuned": WRONG[:20] + SAID[20:], "lm": SAID[:30] + WRONG[30:], "oracle": SAID}
    comparison = compare(SAID, systems)
    kept, _ = verdict(comparison, "lm", "first_pass")
    assert kept.replace("\u00a0", " ") == (
        "The first pass is kept: lm would lower the word error rate from 25.00 % (first pass) to 6.25 % (p < 0.001)."
    )
    other, _ = verdict(comparison, "lm", "retuned, shrunk")
    assert other.startswith("Re-tuned first pass, shrunk is chosen: lm would lower the word error rate from 12.50")
    assert verdict(comparison, "lm", "lm") == verdict(comparison, "lm")


def test_what_is_as_far_is_told_once():
    systems = {"first_pass": WRONG, "retuned": WRONG[:20] + SAID[20:], "lm": SAID[:20] + WRONG[20:], "oracle": SAID}
    _, share = verdict(compare(SAID, systems), "lm")
    assert share.replace("\u00a0", " ") == (
        "It goes 50 % of the way from the first pass to the oracle; so does re-tuning the first pass's own scores, "
        "without any language model."
    )
