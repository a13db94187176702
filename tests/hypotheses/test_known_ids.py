"""Ids in little memory: a set and a dictionary by another name."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from asr_lm.hypotheses.known_ids import KnownIds


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(1, 10**6))))
def test_it_knows_what_a_dictionary_knows(pairs: list[tuple[str, int]]) -> None:
    known, expected = KnownIds(), {}
    for identity, line in pairs:
        assert known.add(identity, line) == expected.get(identity)
        expected.setdefault(identity, line)
    assert len(known) == len(expected)


def test_many_ids_are_all_found_again_in_the_lines_where_they_were() -> None:
    known = KnownIds()
    assert all(known.add(f"u{number}", number + 1) is None for number in range(20_000))
    assert [known.add(f"u{number}", 1) for number in range(20_000)] == list(range(1, 20_001))
    assert known.add("without a line") is None
    assert known.add("without a line", 7) == 0


def test_an_id_takes_at_most_32_bytes_and_a_new_table() -> None:
    known = KnownIds()
    for number in range(50_000):
        known.add(f"a rather long id of an utterance {number}", number)
    taken = sum(sys.getsizeof(words) for table in known._tables for words in (table._first, table._second))
    assert taken < 33 * 50_000
