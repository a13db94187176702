"""Workers of a real Ray cluster; skipped where Ray is not installed (``make test-ray`` installs it)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("ray")

import ray
from campaigns import ray_kill

from asr_lm.errors import InputError
from asr_lm.hypotheses.known_ids import digest_of
from asr_lm.hypotheses.writing import format_of
from asr_lm.rescoring.cluster.engine import Ray, in_order


@pytest.fixture(scope="module")
def _one_cpu() -> Iterator[None]:
    ray.init(
        address="local", num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20, logging_level="ERROR"
    )
    yield
    ray.shutdown()


@pytest.mark.usefixtures("_one_cpu")
@pytest.mark.parametrize("count", [0, 1, 7])
def test_more_workers_than_there_is_room_for(count: int) -> None:
    names = [f"u{number}" for number in range(count)]
    assert list(in_order(Ray(workers=3).work(digest_of, names))) == list(map(digest_of, names))


@pytest.mark.usefixtures("_one_cpu")
def test_what_is_wrong_is_raised_here() -> None:
    with pytest.raises(InputError) as expected:
        format_of("list.xyz")
    with pytest.raises(InputError) as caught:
        list(Ray(workers=1).work(format_of, ["list.json", "list.xyz"]))
    assert (str(caught.value), caught.value.file) == (str(expected.value), "list.xyz")


def test_a_worker_or_the_command_is_killed() -> None:
    rows = list(ray_kill.run(1, 3))
    assert [row["ended"] for row in rows] == ["worker", "command"]
    assert [fault for row in rows for fault in row["faults"]] == []
    assert sum(row["ended before their end"] for row in rows) > 0
