"""The short form of the campaign against the readers of texts, archives, models and kept files."""

from __future__ import annotations

from campaigns.file_readers import READERS, run


def test_every_file_is_read_or_refused() -> None:
    rows = run(50, 20)
    assert [row["reader"] for row in rows] == list(READERS)
    assert [fault for row in rows for fault in row["faults"]] == []
    assert sum(row["read"] for row in rows) > 50
    assert sum(row["refused"] for row in rows) > 100
