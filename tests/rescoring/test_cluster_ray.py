"""Two workers of a real Ray cluster; skipped where Ray is not installed (``pip install 'asr_lm[ray]'``)."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from campaigns import ray_kill


def test_a_worker_or_the_command_is_killed() -> None:
    rows = list(ray_kill.run(1, 3))
    assert [row["ended"] for row in rows] == ["worker", "command"]
    assert [fault for row in rows for fault in row["faults"]] == []
    assert all(row["ended before their end"] == 1 for row in rows)
