"""Voting: worked by hand, and what must hold for any outputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.rescoring.voting import Voting, Word, align, rover

OUTPUTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=4)


def said(*texts: str) -> list[list[Word]]:
    return [[Word(word) for word in text.split()] for text in texts]


def test_the_majority_wins_word_by_word() -> None:
    assert rover(said("the cat sat on a mat", "the cat sat on the mat", "a cat sad on the mat")) == [
        *("the", "cat", "sat", "on", "the", "mat")
    ]


def test_each_is_wrong_somewhere_and_the_vote_is_right() -> None:
    assert rover(said("x b c d", "a y c d", "a b z d")) == ["a", "b", "c", "d"]


def test_what_most_do_not_say_is_left_out_and_what_most_say_comes_in() -> None:
    assert rover(said("a b c", "a c", "a c")) == ["a", "c"]
    assert rover(said("a c", "a b c", "a b c")) == ["a", "b", "c"]


def test_the_slots_worked_by_hand() -> None:
    """Fiscus 1997, figures 2 to 4: outputs of three systems become one row of slots."""
    slots = align(said("a b c d", "b z d e", "b c d e f"))
    assert [["" if word is None else word.text for word in slot] for slot in slots] == [
        *(["a", "", ""], ["b", "b", "b"], ["c", "z", "c"], ["d", "d", "d"], ["", "e", "e"], ["", "", "f"])
    ]
    assert rover(said("a b c d", "b z d e", "b c d e f")) == ["b", "c", "d", "e"]


class TestConfidence:
    OUTPUTS = ([Word("a", 0.9)], [Word("b", 0.3)], [Word("b", 0.4)])

    def test_votes_alone(self) -> None:
        assert rover(self.OUTPUTS, Voting(frequency=1.0)) == ["b"]

    def test_confidence_alone(self) -> None:
        assert rover(self.OUTPUTS, Voting(frequency=0.0)) == ["a"]

    def test_the_scores_worked_by_hand(self) -> None:
        # a: α/3 + (1 - α) 0.9; b: 2α/3 + (1 - α) 0.35 on average, 0.4 at most: equal at α = 33/53 and 3/5.
        for confidence, equal in (("average", 33 / 53), ("highest", 3 / 5)):
            for frequency, winner in ((equal - 0.01, "a"), (equal + 0.01, "b")):
                voting = Voting(frequency, confidence)  # type: ignore[arg-type]
                assert rover(self.OUTPUTS, voting) == [winner]

    def test_silence_has_a_confidence_of_its_own(self) -> None:
        outputs = ([Word("a", 0.4)], [], [])
        assert rover(outputs, Voting(0.0, silence=0.3)) == ["a"]
        assert rover(outputs, Voting(0.0, silence=0.5)) == []

    @pytest.mark.parametrize("voting", [{"frequency": 1.5}, {"silence": -0.1}, {"frequency": float("nan")}])
    def test_shares_are_checked(self, voting: dict[str, float]) -> None:
        with pytest.raises(InputError, match="share from 0 to 1"):
            Voting(**voting)  # type: ignore[arg-type]


class TestLaws:
    @given(OUTPUTS)
    def test_every_output_can_be_read_off_the_slots(self, outputs: list[list[str]]) -> None:
        slots = align(said(*map(" ".join, outputs)))
        for number, output in enumerate(outputs):
            assert [word.text for slot in slots if (word := slot[number]) is not None] == output

    @given(st.lists(st.sampled_from("abcd"), max_size=6), st.integers(1, 4))
    def test_those_who_agree_are_believed(self, output: list[str], systems: int) -> None:
        assert rover(said(*[" ".join(output)] * systems)) == output

    @given(OUTPUTS)
    def test_the_first_of_two_is_believed(self, outputs: list[list[str]]) -> None:
        texts = list(map(" ".join, outputs))
        assert rover(said(texts[0], texts[-1])) == outputs[0]


def test_no_system_says_nothing() -> None:
    assert rover([]) == []
