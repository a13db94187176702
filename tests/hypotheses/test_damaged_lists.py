"""The short form of the campaign against the readers of lists."""

from __future__ import annotations

import pytest
from campaigns.list_readers import READERS, run

from asr_lm.hypotheses.sclite import TRN_LINE
from asr_lm.hypotheses.validation import decimal


def test_every_list_is_read_whole_or_refused() -> None:
    rows = list(run(25, 20))
    assert {row["reader"] for row in rows} >= set(READERS)
    assert [fault for row in rows for fault in row["faults"]] == []
    assert all(row["read"] + row["refused"] == 25 for row in rows)
    assert sum(row["read"] for row in rows) > 2 * len(rows)


@pytest.mark.parametrize("text", ["9" * 500_000 + "x", "." * 500_000, "1" * 250_000 + "." * 250_000])
def test_a_long_number_takes_no_longer_than_its_length(text: str) -> None:
    assert decimal(text) is None


@pytest.mark.parametrize("line", ["a" + " " * 500_000, "(" * 500_000, "a(" * 250_000, " (u" * 150_000])
def test_nor_does_a_long_line_of_trn(line: str) -> None:
    assert TRN_LINE.fullmatch(line) is None
    assert TRN_LINE.fullmatch(f"{line} (u-1)") is not None
