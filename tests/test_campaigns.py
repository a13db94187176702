"""Short forms of campaigns that have no folder of their own here, and what a campaign finds."""

from __future__ import annotations

import os
import pickle
import random
import signal
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaigns import _fuzzing, bombs, file_readers, hostile_files
from campaigns._fuzzing import FileReader, fuzz

from asr_lm.errors import InputError


def test_every_file_is_read_or_refused() -> None:
    rows = list(file_readers.run(30, 20))
    assert [row["reader"] for row in rows] == list(file_readers.READERS)
    assert [fault for row in rows for fault in row["faults"]] == []
    assert sum(row["read"] for row in rows) > 30
    assert sum(row["refused"] for row in rows) > 100


def test_nothing_that_was_made_to_harm_does() -> None:
    kinds = ("archives", "lists", "ngram", "mixture")
    rows = list(fuzz({kind: hostile_files.READERS[kind] for kind in kinds}, 12, 20))
    assert [fault for row in rows for fault in row["faults"]] == []
    assert all(row["read"] + row["refused"] == 12 for row in rows)
    assert sum(row["read"] for row in rows) > 5


@pytest.fixture(scope="module")
def small_bombs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of 256 MiB, or of 32 where they are packed with gzip."""
    kinds, folder = ("blanks", "newlines", "lines of blanks", "zeros", "one line"), tmp_path_factory.mktemp("bombs")
    # Both ways of packing them, in turn.
    return [bombs.made(kind, folder, 2**28)[number % 2] for number, kind in enumerate(kinds)]


@pytest.mark.parametrize("name", bombs.READERS)
def test_what_unpacks_to_much_is_refused(name: str, small_bombs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are lowered, since those in force take gigabytes to reach."""
    for limit, value in {"LINE": 10**5, "BLANK": 10**4, "FILE": 10**6, "UNPACKED": 10**6}.items():
        monkeypatch.setenv(f"ASR_LM_MAX_{limit}", str(value))
    for path in small_bombs:
        tracemalloc.start()
        try:
            with pytest.raises(InputError):
                bombs.READERS[name](path)
            assert tracemalloc.get_traced_memory()[1] < 2**27, f"{path.name} takes memory"
        finally:
            tracemalloc.stop()


def refuse(path: Path) -> int:
    raise InputError("no")


def fail(path: Path) -> int:
    raise AttributeError("'str' has no 'get'")


def wait(path: Path) -> int:
    time.sleep(60)
    return 1


def work(path: Path) -> int:
    begin = time.process_time()
    while time.process_time() < begin + 0.3:
        try:
            sum(range(10_000))
        except Exception:  # a reader may catch everything
            return 1
    return 1


@pytest.mark.parametrize(
    ("reader", "found"),
    [
        (lambda path: 1, None),
        (refuse, None),
        (fail, "AttributeError: 'str' has no 'get'"),
        (lambda path: os._exit(7), "the process ended with 7"),
        (lambda path: os.kill(os.getpid(), signal.SIGKILL), "the process ended with -9"),
        (wait, "no outcome after 0.3 s"),
        (work, "read after 0.3 s"),
    ],
)
def test_what_a_campaign_finds(
    reader: Callable[[Path], int], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an end of its process, too, it goes on with the next input."""
    monkeypatch.setattr(_fuzzing, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(_fuzzing, "HANGS_AFTER", 0.3 if reader is wait else 60)
    monkeypatch.setattr(_fuzzing, "mutated", lambda content, chance: chance.choice((b"fine", b"damaged")))
    own = FileReader(lambda path: 1 if path.read_bytes() == b"fine" else reader(path), lambda: [b"fine"])
    (row,) = fuzz({"one": own}, 6, 3)
    faults = row["faults"]
    assert row["inputs"] == row["read"] + row["refused"] + len(faults) == 6
    assert row["read"] > 0
    if found is None:
        assert faults == []
    else:
        assert len(faults) > 1
        assert all(found in fault for fault in faults)


def loaded(path: Path) -> int:
    return len(str(pickle.loads((path / "pytorch_model.bin").read_bytes())))


@pytest.mark.parametrize(
    ("opened", "found"),
    [
        (loaded, "written elsewhere"),
        (lambda path: (path.parents[1] / hostile_files.VICTIM).write_bytes(b""), "another file was changed"),
    ],
)
def test_a_program_that_runs_is_found(opened: Any, found: str) -> None:
    def make(folder: Path, chance: random.Random) -> Path:
        (folder / "model").mkdir()
        hostile_files._without_safetensors(folder / "model", chance)
        return folder / "model"

    (row,) = fuzz({"pickles": hostile_files.HostileReader(make, opened)}, 1, 1)
    assert found in row["faults"][0]
