"""Lists that are made from lattices."""

from __future__ import annotations

import pytest

from asr_lm.lattice.lattice import Lattice
from asr_lm.rescoring.lattices import first_list


def said(begin: list[float], end: list[float]) -> Lattice:
    scores = {"acoustic": [-1.0, -2.0]}
    return Lattice.from_arcs("u", ("", "a", "b"), [0, 1], [1, 2], [1, 2], scores, final={2: {}}, begin=begin, end=end)


@pytest.mark.parametrize(
    ("begin", "end", "times"),
    [
        ([0.0, 0.5], [0.5, 1.25], ((0.0, 0.5), (0.5, 1.25))),
        ([0.0, 2.5900000000000003], [2.0, 2.59], ((0.0, 2.0), (2.5900000000000003, 2.5900000000000003))),
        ([0.0, 0.5], [0.5, 0.25], None),
        ([-1.0, 0.5], [0.5, 1.0], None),
        ([0.0, float("nan")], [0.5, 1.0], None),
    ],
)
def test_times_are_there_where_they_are_times(
    begin: list[float], end: list[float], times: tuple[tuple[float, float], ...] | None
) -> None:
    (hypothesis,) = first_list(said(begin, end), 1).hypotheses
    assert hypothesis.text == "a b"
    assert hypothesis.times == times
