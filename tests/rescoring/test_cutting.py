"""A list is cut into the same parts however it was looked through: as one process cuts it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.hypotheses.known_ids import digest_of
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.cluster.cutting import Part, parts_of
from asr_lm.rescoring.cluster.engine import in_order
from asr_lm.rescoring.cluster.list_files import RowSpan
from asr_lm.rescoring.cluster.scanning import BadRow, Scanned
from asr_lm.rescoring.scoring.scorer import shards

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40)), min_size=1, max_size=40)
"""Hypotheses of each row, 0 of a bad one, and an id that may come twice."""


def scanned(rows: list[tuple[int, int]], file: int, begin: int) -> Scanned:
    """A stretch of rows that are ten bytes long each."""
    bad = {row: BadRow(row + 1, None, "bad") for row, (count, _) in enumerate(rows) if not count}
    return Scanned(
        RowSpan(file, begin, begin + 10 * len(rows)),
        len(rows),
        begin + 10 * np.arange(len(rows)),
        np.arange(1, len(rows) + 1, dtype=np.int32),
        np.array([count for count, _ in rows], dtype=np.int32),
        [digest_of(str(name)) if count else b"" for count, name in rows],
        bad,
    )


def good(rows: list[tuple[int, int]]) -> list[Utterance]:
    """What one process reads where bad rows and ids that come again are left out."""
    seen: set[int] = set()
    kept = []
    for place, (count, name) in enumerate(rows):
        if count and name not in seen:
            seen.add(name)
            kept.append(Utterance(str(place), (Hypothesis("a"),) * count))
    return kept


def rows_of(part: Part) -> list[int]:
    places = [(span.file, at) for span in part.spans for at in range(span.begin, span.end, 10)]
    return [file * 1000 + at // 10 for file, at in places if (file, at) not in part.bad]


@given(ROWS, st.lists(st.integers(0, 40), max_size=4), st.integers(1, 25))
def test_parts_are_the_shards_of_one_process(rows: list[tuple[int, int]], cuts: list[int], most: int) -> None:
    cuts = sorted(cut for cut in set(cuts) if 0 < cut < len(rows))
    ends = zip([0, *cuts], [*cuts, len(rows)], strict=True)
    parts = list(parts_of((scanned(rows[begin:end], 0, 10 * begin) for begin, end in ends), most))
    expected = [[int(utterance.id) for utterance in shard] for shard in shards(good(rows), most)]
    assert [found for part in parts if (found := rows_of(part))] == expected
    assert [part.utterances for part in parts if part.utterances] == list(map(len, expected))
    assert sum(len(part.bad) for part in parts) == len(rows) - sum(map(len, expected))
    assert [part.number for part in parts] == list(range(len(parts)))
    lines = {position // 10 + 1: bad.line for part in parts for (_, position), bad in part.bad.items()}
    assert all(line == expected for expected, line in lines.items())


@given(ROWS, ROWS, st.integers(1, 25))
def test_parts_go_over_the_ends_of_files(one: list[tuple[int, int]], other: list[tuple[int, int]], most: int) -> None:
    parts = list(parts_of([scanned(one, 0, 0), scanned(other, 1, 0)], most))
    expected = list(shards(good([*one, *other]), most))
    assert [part.utterances for part in parts if part.utterances] == list(map(len, expected))
    assert sum(len(rows_of(part)) for part in parts) == sum(map(len, expected))


@given(st.permutations(range(8)))
def test_results_come_in_the_order_of_their_tasks(numbers: list[int]) -> None:
    assert list(in_order((number, number) for number in numbers)) == list(range(8))
