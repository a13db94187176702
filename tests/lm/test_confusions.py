from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.lm.training.confusions import Confusions, differences


def corrupted(confusions: Confusions, text: str, times: int, seed: int = 0) -> list[list[str]]:
    return [confusions.corrupt(text, np.random.default_rng([seed, number])) for number in range(times)]


def test_differences_worked_by_hand() -> None:
    said, heard = ["fly", "to", "d", "c", "at", "noon"], ["flights", "to", "dc", "at", "noon", "today"]
    assert differences(said, heard) == [(0, ("fly",), ("flights",)), (2, ("d", "c"), ("dc",)), (6, (), ("today",))]


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_putting_the_differences_in_gives_what_was_heard(said: list[str], heard: list[str]) -> None:
    rebuilt, position = [], 0
    for place, old, new in differences(said, heard):
        assert old != new
        assert tuple(said[place : place + len(old)]) == old
        rebuilt += [*said[position:place], *new]
        position = place + len(old)
    assert rebuilt + said[position:] == heard


def test_rates_are_those_of_the_lists() -> None:
    # "fly" is heard as "flies" by one of two hypotheses in half of the lists: a quarter of the times it is said.
    lists = [("i fly now", ["i fly now", "i flies now"]), ("i fly now", ["i fly now", "i fly now"])] * 10
    confusions = Confusions.learn(lists)
    assert confusions.words[("fly",)].rate == 0.25
    assert confusions.spread == 0.5
    assert confusions.word_rate == pytest.approx(1 / 12)
    found = corrupted(confusions, "i fly now", 2000)
    assert {len(some) for some in found} == {2}
    texts = [text for some in found for text in some]
    assert set(texts) == {"i fly now", "i flies now"}
    assert texts.count("i flies now") / len(texts) == pytest.approx(0.25, abs=0.03)


def test_insertions_and_deletions_have_their_rates() -> None:
    lists = [("a b c", ["a x b c"]), ("a b c", ["a b"]), ("a b c", ["a b c"]), ("a b c", ["a b c"])]
    confusions = Confusions.learn(lists)
    assert confusions.words[()].rate == pytest.approx(1 / 16)
    assert confusions.words[("c",)].rate == pytest.approx(1 / 4)
    texts = [some[0] for some in corrupted(confusions, "a b c", 3000)]
    assert np.mean(["x" in text for text in texts]) == pytest.approx(1 - (15 / 16) ** 4, abs=0.03)
    assert np.mean(["c" not in text for text in texts]) == pytest.approx(0.25, abs=0.03)


def test_a_list_shares_its_errors() -> None:
    lists = [("a b", ["a c", "a c"]), ("a b", ["a b", "a b"])]
    found = corrupted(Confusions.learn(lists), "a b", 300)
    assert {tuple(some) for some in found} == {("a c", "a c"), ("a b", "a b")}


def test_unseen_words_get_confusions_of_letters() -> None:
    lists = [("fair", ["fare"]), ("pair", ["pare"]), ("good", ["good"]), ("fine", ["fine"])]
    confusions = Confusions.learn(lists)
    texts = {text for some in corrupted(confusions, "hairy", 200) for text in some}
    assert "hairy" in texts
    assert len(texts) > 1
    assert not any("hairy" in text for text in texts - {"hairy"})


def test_the_same_seed_gives_the_same_text() -> None:
    confusions = Confusions.learn([("a b c d", ["a x c d", "a b y"]), ("d c", ["d", "e c"])])
    assert corrupted(confusions, "a b c d", 20, seed=4) == corrupted(confusions, "a b c d", 20, seed=4)
    assert corrupted(confusions, "a b c d", 20, seed=4) != corrupted(confusions, "a b c d", 20, seed=5)


def test_a_perfect_recogniser_corrupts_nothing() -> None:
    confusions = Confusions.learn([("a b", ["a b"])])
    assert corrupted(confusions, "a z", 50) == [["a z"]] * 50
    assert corrupted(confusions, "", 1) == [[""]]


def test_no_list_is_an_error() -> None:
    with pytest.raises(InputError, match="no list"):
        Confusions.learn([])
