import time
from random import Random

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import ALIGNED_AT_ONCE, ErrorCounts, alignments, count_errors

SENTENCES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(" ".join)
PAIRS = st.lists(st.tuples(SENTENCES, SENTENCES), max_size=12)


def edit_distance(reference: list[str], hypothesis: list[str]) -> int:
    """Plain recursion of Wagner and Fischer (1974), the independent judge."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        above, row = row, [i]
        for j, other in enumerate(hypothesis, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def split(pairs):
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_errors_are_the_edit_distance(pairs):
    counts = count_errors(*split(pairs))
    assert counts.dtype == np.int32
    assert counts.shape == (len(pairs), 4)
    for (reference, hypothesis), (substitutions, deletions, insertions, length) in zip(pairs, counts, strict=True):
        words, others = reference.split(), hypothesis.split()
        assert substitutions + deletions + insertions == edit_distance(words, others)
        assert length == len(words)
        assert deletions - insertions == len(words) - len(others)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_sums_are_what_jiwer_counts_over_the_whole(pairs):
    references, hypotheses = split([pair for pair in pairs if pair[0]] or [("a", "b")])
    total = ErrorCounts.from_counts(count_errors(references, hypotheses))
    expected = jiwer.process_words(references, hypotheses)
    assert (total.substitutions, total.deletions, total.insertions) == (
        expected.substitutions,
        expected.deletions,
        expected.insertions,
    )
    assert total.rate == pytest.approx(100 * expected.wer)


@settings(max_examples=100, deadline=None)
@given(PAIRS, PAIRS)
def test_adding_is_counting_the_union(first, second):
    union = ErrorCounts.from_counts(count_errors(*split(first + second)))
    parts = [ErrorCounts.from_counts(count_errors(*split(part))) for part in (first, second)]
    assert parts[0] + parts[1] == union
    assert ErrorCounts() + union == union


@settings(max_examples=100, deadline=None)
@given(SENTENCES, SENTENCES)
def test_an_alignment_spells_out_both_texts_and_the_counts(reference, hypothesis):
    (spans,) = alignments([reference], [hypothesis])
    assert [word for _, words, _ in spans for word in words] == reference.split()
    assert [word for _, _, words in spans for word in words] == hypothesis.split()
    cost = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
    for operation, left, right in spans:
        cost[operation] += max(len(left), len(right))
        assert (left == right) == (operation == "equal")
    substitutions, deletions, insertions, _ = count_errors([reference], [hypothesis])[0]
    assert (cost["substitute"], cost["delete"], cost["insert"]) == (substitutions, deletions, insertions)


@settings(max_examples=100, deadline=None)
@given(st.lists(SENTENCES, max_size=5), st.sampled_from(["word", "character"]))
def test_a_text_has_no_error_against_itself(texts, unit):
    total = ErrorCounts.from_counts(count_errors(texts, texts, unit))
    assert total.errors == total.sentence_errors == 0


def test_empty_texts():
    counts = count_errors(["", "", "a b", " \t "], ["", "a b", "", "x"])
    assert counts.tolist() == [[0, 0, 0, 0], [0, 0, 2, 0], [0, 2, 0, 2], [0, 0, 1, 0]]
    total = ErrorCounts.from_counts(counts)
    assert total == ErrorCounts(0, 2, 3, 2, sentences=4, sentence_errors=3)
    assert total.rate == 250.0
    assert total.sentence_error_rate == 75.0


def test_words_called_nan_and_null_and_single_letters_are_words():
    assert count_errors(["nan", "null", "i"], ["nan", "", "a"]).tolist() == [[0, 0, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1]]


def test_no_reference_word_means_no_rate():
    assert ErrorCounts.from_counts(count_errors([""], ["a"])).rate is None
    nothing = ErrorCounts.from_counts(count_errors([], []))
    assert nothing == ErrorCounts()
    assert nothing.rate is None
    assert nothing.sentence_error_rate is None


def test_only_white_space_is_collapsed():
    assert count_errors(["a  b\t c\n"], [" a b c"]).tolist() == [[0, 0, 0, 3]]
    assert count_errors(["It's so."], ["it's so"]).tolist() == [[2, 0, 0, 2]]


def test_batches_change_nothing():
    pairs = [(f"a b {i}", f"a {i} c") for i in range(2 * ALIGNED_AT_ONCE + 7)]
    counts = count_errors(*split(pairs))
    assert (counts == count_errors(*split(pairs[:1]))[0]).all()
    spans = list(alignments(*split(pairs)))
    assert len(spans) == len(pairs)
    assert all(
        [word for _, words, _ in span for word in words] == pair[0].split()
        for span, pair in zip(spans, pairs, strict=True)
    )


def test_lengths_and_units_are_checked():
    with pytest.raises(InputError, match="2 references but 1 hypothesis,"):
        count_errors(["a", "b"], ["a"])
    with pytest.raises(InputError, match="2 references but 1 hypothesis,"):
        next(alignments(["a", "b"], ["a"]))
    with pytest.raises(InputError, match="unknown unit 'phone'"):
        count_errors(["a"], ["a"], "phone")


def test_a_hundred_best_list_is_counted_in_seconds():
    random = Random(1)
    vocabulary = [f"word{i}" for i in range(3000)]
    references = [" ".join(random.choices(vocabulary, k=20)) for _ in range(130)]
    pairs = []
    for reference in references:
        for _ in range(100):
            words = reference.split()
            words[random.randrange(20)] = random.choice(vocabulary)
            pairs.append((reference, " ".join(words)))
    start = time.process_time()
    count_errors(*split(pairs))
    assert (
        time.process_time() - start < 3
    )  # a tenth of the size that must take less than 10 s, with room for a slow machine
