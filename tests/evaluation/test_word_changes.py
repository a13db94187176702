import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.evaluation.matched_pairs import error_positions
from asr_lm.evaluation.word_changes import (
    Confusion,
    WordChange,
    changes_at,
    confusions,
    most_broken,
    most_fixed,
    word_changes,
)
from asr_lm.evaluation.word_errors import ErrorCounts, count_errors

SENTENCES = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)
TRIPLES = st.lists(st.tuples(SENTENCES, SENTENCES, SENTENCES), max_size=8)


def test_by_hand():
    references = ["the cat sat", "the dog sat", "a cat ran"]
    first = ["the cap sat", "the dog sad", "a cat ran"]
    second = ["the cat sat", "a dog sat", "a cap ran fast"]
    assert word_changes(references, first, second) == [
        WordChange("cat", fixed=1, broken=1, spoken=2),
        WordChange("sat", fixed=1, broken=0, spoken=2),
        WordChange("the", fixed=0, broken=1, spoken=2),
    ]


@settings(max_examples=50, deadline=None)
@given(TRIPLES)
def test_fixed_less_broken_is_the_difference_in_wrong_words(triples):
    references, first, second = [list(column) for column in zip(*triples, strict=True)] or [[], [], []]
    changes = word_changes(references, first, second)
    wrong = []
    for texts in (first, second):
        total = ErrorCounts.from_counts(count_errors(references, texts))
        wrong.append(total.substitutions + total.deletions)
    assert sum(change.fixed - change.broken for change in changes) == wrong[0] - wrong[1]
    assert all(0 < change.fixed + change.broken <= change.spoken for change in changes)
    back = word_changes(references, second, first)
    assert {(c.word, c.fixed, c.broken) for c in changes} == {(c.word, c.broken, c.fixed) for c in back}


def test_most_fixed_and_most_broken():
    changes = [WordChange("a", 3, 3, 9), WordChange("b", 3, 0, 9), WordChange("c", 0, 2, 9), WordChange("d", 1, 0, 9)]
    assert [change.word for change in most_fixed(changes, 10)] == ["b", "a", "d"]
    assert [change.word for change in most_fixed(changes, 1)] == ["b"]
    assert [change.word for change in most_broken(changes, 10)] == ["a", "c"]


def test_confusions_by_hand():
    references = ["the cat sat", "the cat", "a dog ran"]
    hypotheses = ["the cap sat", "the cap", "dog ran now"]
    assert confusions(references, hypotheses) == [
        Confusion("cat", "cap", 2),
        Confusion(None, "now", 1),
        Confusion("a", None, 1),
    ]


@settings(max_examples=50, deadline=None)
@given(TRIPLES)
def test_confusions_are_all_the_errors(triples):
    references, hypotheses = [triple[0] for triple in triples], [triple[1] for triple in triples]
    found = confusions(references, hypotheses)
    total = ErrorCounts.from_counts(count_errors(references, hypotheses))
    assert sum(pair.count for pair in found if pair.reference is None) == total.insertions
    assert sum(pair.count for pair in found if pair.hypothesis is None) == total.deletions
    assert sum(pair.count for pair in found) == total.errors
    assert all(pair.reference != pair.hypothesis for pair in found)
    assert [pair.count for pair in found] == sorted((pair.count for pair in found), reverse=True)


def test_positions_of_other_references_are_refused():
    with pytest.raises(InputError, match="different references"):
        changes_at(["a b"], error_positions(["a"], ["a"]), error_positions(["a b"], ["a"]))
