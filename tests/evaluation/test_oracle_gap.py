import pytest

from asr_lm.evaluation.oracle_gap import gap_closed
from asr_lm.evaluation.word_errors import ErrorCounts


def test_the_gap():
    first, best = ErrorCounts(10, 5, 5, 100), ErrorCounts(5, 3, 2, 100)
    assert gap_closed(first, first, best) == 0.0
    assert gap_closed(first, best, best) == 1.0
    assert gap_closed(first, ErrorCounts(10, 5, 0, 100), best) == pytest.approx(0.5)
    assert gap_closed(first, ErrorCounts(10, 10, 5, 100), best) == pytest.approx(-0.5)
    assert gap_closed(best, first, best) is None
