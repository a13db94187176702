import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.evaluation.matched_pairs import (
    MatchedPairs,
    compare_positions,
    error_positions,
    segments,
)
from asr_lm.evaluation.word_errors import ErrorCounts, count_errors

SENTENCES = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)
TRIPLES = st.lists(st.tuples(SENTENCES, SENTENCES, SENTENCES), max_size=8)

# Reference, first system, second system, segments (errors of the first, of the second), worked out by hand.
WORKED = [
    ("a b c d e f g h", "a x c d e f y h", "a b c d e f g h", [(1, 0), (1, 0)]),
    ("a b c d", "a b c d", "a b x d", [(0, 1)]),
    ("a b c d e", "x b y d e", "a b c d e z", [(2, 0), (0, 1)]),
    ("a b", "a b", "a b", []),
    ("a b c", "x b c", "y b c", [(1, 1)]),
]


def matched_pairs_test(references, first, second, unit="word"):
    return compare_positions(error_positions(references, first, unit), error_positions(references, second, unit))


def columns(rows):
    return [list(column) for column in zip(*rows, strict=True)] or [[], [], []]


def found_segments(reference, first, second):
    return list(segments(*(error_positions([reference], [text])[0] for text in (first, second))))


@pytest.mark.parametrize(("reference", "first", "second", "expected"), WORKED)
def test_segments_by_hand(reference, first, second, expected):
    assert found_segments(reference, first, second) == expected


def test_the_test_by_hand():
    references, first, second, _ = columns(WORKED)
    result = matched_pairs_test(references, first, second)
    # Differences -1, -1, 1, 1 - 3 = -2, 1, 0: mean -1/3, squares 8, variance (8 - 6/9) / 5 = 22/15.
    assert result.segments == 6
    assert result.mean_difference == pytest.approx(-1 / 3)
    assert result.z == pytest.approx(-(1 / 3) / math.sqrt(22 / 15 / 6))
    assert result.z == pytest.approx(-0.6742, abs=1e-4)
    assert result.p_value == pytest.approx(0.5002, abs=1e-4)  # from a table of the normal distribution


def test_one_right_word_does_not_end_a_segment_but_two_do():
    assert found_segments("a b c", "x b x", "a b c") == [(2, 0)]
    assert found_segments("a b c d", "x b c x", "a b c d") == [(1, 0), (1, 0)]
    assert found_segments("a b c d", "x b c d", "a b x d") == [(1, 1)]


def test_an_insertion_between_them_keeps_right_words_apart():
    assert found_segments("a b c d e", "x b q c d e", "a b c d e") == [(2, 0)]
    assert found_segments("a b c d e", "x b c q d e", "a b c d e") == [(1, 0), (1, 0)]


def test_insertions_at_either_end_count_for_either_system():
    for texts in (("q a b", "a b"), ("a b q", "a b"), ("q", "")):
        reference = "" if texts == ("q", "") else "a b"
        assert found_segments(reference, texts[0], texts[1]) == [(1, 0)]
        assert found_segments(reference, texts[1], texts[0]) == [(0, 1)]


def segments_by_pattern(first, second):
    """Another way to the segments: write the utterance as letters and split it at two good words running."""
    letters, place = "", []
    for position, errors in enumerate(zip(first, second, strict=True)):
        if any(errors) or position % 2:
            letters += "e" if any(errors) else "g"
            place.append(errors)
    found = []
    for part in re.finditer(r"(?:e|g(?!g))+", letters):
        errors = np.array(place[part.start() : part.end()]).sum(axis=0)
        if errors.any():
            found.append((int(errors[0]), int(errors[1])))
    return found


@settings(max_examples=50, deadline=None)
@given(SENTENCES, SENTENCES, SENTENCES)
def test_segments_found_in_two_ways(reference, first, second):
    positions = [error_positions([reference], [text])[0] for text in (first, second)]
    assert list(segments(*positions)) == segments_by_pattern(*positions)


@settings(max_examples=50, deadline=None)
@given(TRIPLES)
def test_segments_hold_every_error_once(triples):
    references, first, second = columns(triples)
    result = matched_pairs_test(references, first, second)
    errors = [ErrorCounts.from_counts(count_errors(references, texts)).errors for texts in (first, second)]
    found = [pair for triple in triples for pair in found_segments(*triple)]
    assert [sum(column) for column in zip(*found, strict=True)] == (errors if found else [])
    assert result.segments == len(found)
    if found:
        assert result.mean_difference == pytest.approx((errors[1] - errors[0]) / len(found))
    assert all(any(pair) for pair in found)


@settings(max_examples=50, deadline=None)
@given(TRIPLES)
def test_swapping_turns_the_sign_only(triples):
    references, first, second = columns(triples)
    there, back = matched_pairs_test(references, first, second), matched_pairs_test(references, second, first)
    assert (there.segments, there.p_value) == (back.segments, back.p_value)
    if there.z is not None:
        assert there.z == -back.z
        assert there.p_value == pytest.approx(math.erfc(abs(there.z) / math.sqrt(2)))


@settings(max_examples=50, deadline=None)
@given(TRIPLES)
def test_equal_systems(triples):
    references, first, _ = columns(triples)
    result = matched_pairs_test(references, first, first)
    expected = (0.0, 1.0) if result.segments > 1 else (None, None)
    assert (result.z, result.p_value) == expected


@settings(max_examples=50, deadline=None)
@given(TRIPLES, st.integers(2, 4))
def test_more_of_the_same_data_lowers_p(triples, copies):
    references, first, second = columns(triples)
    once = matched_pairs_test(references, first, second)
    often = matched_pairs_test(references * copies, first * copies, second * copies)
    assert often.segments == copies * once.segments
    if once.z:
        assert often.p_value < once.p_value


@pytest.mark.parametrize(
    ("references", "first", "second", "expected"),
    [
        ([], [], [], MatchedPairs(0, None, None, None)),
        (["a b"], ["a b"], ["a b"], MatchedPairs(0, None, None, None)),
        (["a b"], ["a x"], ["a b"], MatchedPairs(1, -1.0, None, None)),
        (["a b"] * 5, ["a x"] * 5, ["a b"] * 5, MatchedPairs(5, -1.0, None, None)),
        (["", ""], ["a", ""], ["", "a"], MatchedPairs(2, 0.0, 0.0, 1.0)),
    ],
)
def test_not_enough_data_is_said(references, first, second, expected):
    assert matched_pairs_test(references, first, second) == expected


def test_equally_good_systems_are_told_apart_by_chance_only():
    generator = np.random.default_rng(5)
    false_alarms = 0
    for _ in range(400):
        first, second = (
            [[0, *(cell for bad in row for cell in (int(bad), 0))] for row in generator.random((60, 12)) < 0.15]
            for _ in range(2)
        )
        false_alarms += compare_positions(first, second).p_value < 0.05
    assert 0.02 < false_alarms / 400 < 0.09


def test_positions_of_other_references_are_refused():
    with pytest.raises(InputError, match="different references"):
        compare_positions(error_positions(["a b"], ["a"]), error_positions(["a"], ["a"]))
    with pytest.raises(InputError, match="1 reference but 0 hypotheses"):
        matched_pairs_test(["a"], [], ["a"])


def test_characters():
    assert matched_pairs_test(["天气很好"] * 2, ["天汽很好", "天气很坏"], ["天气很好"] * 2, "character").segments == 2
