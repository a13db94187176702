"""Texts near those of a list: what its hypotheses differ in, words close by letters, and the best that come of them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from asr_lm.acoustic.near_texts import KEPT, Change, NearTexts, Words, _apart, _differences, _stretches, changed

TEXTS = st.lists(st.sampled_from("abcd"), max_size=6).map(tuple)
SAID = ("the", "ferry", "is", "late", "again")


def score(texts: Sequence[Words]) -> dict[Words, float]:
    """As if ``SAID`` had been said: every wrong letter costs 3."""
    from rapidfuzz.distance import Levenshtein

    return {text: -3.0 * Levenshtein.distance(" ".join(text), " ".join(SAID)) for text in texts}


class TestChanges:
    @given(TEXTS, TEXTS)
    def test_all_differences_together_make_the_other_text(self, best: Words, other: Words) -> None:
        changes = list(_differences(best, [other]))
        assert changed(best, _stretches(best, other)) == other
        assert _apart(list(_stretches(best, other)))
        assert {*_stretches(best, other)} <= {*changes}

    def test_changes_of_the_same_words_are_not_put_together(self) -> None:
        assert not _apart([Change(1, 2, ("a",)), Change(1, 2, ("b",))])
        assert not _apart([Change(1, 1, ("a",)), Change(1, 2, ("b",))])
        assert not _apart([Change(0, 2, ("a",)), Change(1, 3, ("b",))])
        assert _apart([Change(0, 1, ("a",)), Change(1, 2, ("b",))])


class TestFound:
    def test_halves_of_two_hypotheses(self) -> None:
        heard = score([("the", "fairy", "is", "late", "again"), ("a", "ferry", "is", "late", "a", "gain")])
        assert NearTexts([]).of(heard, score)[0] == SAID

    def test_a_word_that_no_hypothesis_has(self) -> None:
        heard = score([("the", "fairy", "is", "late", "again"), ("the", "furry", "is", "late", "again")])
        assert NearTexts(["ferry", "berry", "late"]).of(heard, score)[0] == SAID
        assert SAID not in NearTexts(["late"]).of(heard, score)

    def test_one_word_in_place_of_two(self) -> None:
        heard = score([("the", "ferry", "is", "late", "a", "gain"), ("the", "ferry", "is", "late", "a", "gane")])
        assert NearTexts(["again"]).of(heard, score)[0] == SAID

    def test_where_all_agree_no_word_is_tried(self) -> None:
        heard = score([("the", "fairy", "is", "late", "again"), ("the", "fairy", "was", "late", "again")])
        assert all(text[1] == "fairy" for text in NearTexts(["ferry"]).of(heard, score))

    def test_one_hypothesis_has_nothing_near(self) -> None:
        assert NearTexts(["ferry"]).of(score([("the", "fairy")]), score) == []

    @given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(1, 5))
    def test_new_texts_the_best_first_and_none_far_below(self, texts: list[Words], most: int) -> None:
        heard = score(texts)
        found = NearTexts("abcd", most).of(heard, score)
        assert len(found) <= most
        assert not set(found) & heard.keys()
        assert () not in found
        scores = score(found)
        assert [*scores.values()] == sorted(scores.values(), reverse=True)
        assert all(value > max(heard.values()) - KEPT for value in scores.values())

    def test_what_cannot_be_said_is_no_text(self) -> None:
        def without_ferry(texts: Sequence[Words]) -> dict[Words, float]:
            return {text: value for text, value in score(texts).items() if "ferry" not in text}

        heard = score([("the", "fairy", "is", "late", "again"), ("the", "furry", "is", "late", "again")])
        assert all("ferry" not in text for text in NearTexts(["ferry", "berry"]).of(heard, without_ferry))
