"""The compositional oracle against all paths of small networks, and its place below the oracle."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asr_lm.evaluation.compositional_oracle import NOTHING, closest_path, network

UNITS = st.sampled_from("abcd")
TEXTS = st.lists(UNITS, max_size=4)
LISTS = st.lists(TEXTS, min_size=1, max_size=4)


def all_paths(slots: list[set[str]]) -> set[tuple[str, ...]]:
    return {tuple(unit for unit in path if unit != NOTHING) for path in product(*slots)}


class TestNetwork:
    @given(LISTS)
    def test_every_hypothesis_is_a_path(self, hypotheses: list[list[str]]) -> None:
        assert set(map(tuple, hypotheses)) <= all_paths(network(hypotheses))

    @given(TEXTS)
    def test_one_hypothesis_is_the_only_path(self, text: list[str]) -> None:
        assert all_paths(network([text])) == {tuple(text)}

    def test_words_inserted_at_one_place_compete(self) -> None:
        slots = network([["a", "d"], ["a", "b", "d"], ["a", "c", "d"]])
        assert slots == [{"a"}, {NOTHING, "b", "c"}, {"d"}]

    def test_an_empty_first_hypothesis(self) -> None:
        assert network([[], ["a", "b"], ["c"]]) == [{NOTHING, "a", "c"}, {NOTHING, "b"}]


class TestBestPath:
    @given(LISTS, TEXTS)
    def test_none_of_all_paths_is_better(self, hypotheses: list[list[str]], reference: list[str]) -> None:
        slots = network(hypotheses)
        found = closest_path(slots, reference)
        assert tuple(found) in all_paths(slots)
        assert Levenshtein.distance(found, reference) == min(
            Levenshtein.distance(list(path), reference) for path in all_paths(slots)
        )

    @given(LISTS, TEXTS)
    def test_it_is_no_worse_than_the_best_hypothesis(self, hypotheses: list[list[str]], reference: list[str]) -> None:
        composed = closest_path(network(hypotheses), reference)
        oracle = min(Levenshtein.distance(text, reference) for text in hypotheses)
        assert Levenshtein.distance(composed, reference) <= oracle

    def test_one_half_of_each_hypothesis(self) -> None:
        slots = network([["the", "fairy", "is", "late"], ["a", "ferry", "is", "late"]])
        assert closest_path(slots, ["the", "ferry", "is", "late"]) == ["the", "ferry", "is", "late"]

    def test_it_writes_no_word_that_the_list_lacks(self) -> None:
        assert closest_path(network([["a", "b"]]), ["a", "c"]) == ["a", "b"]
