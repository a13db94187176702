"""The commands under the real ``torchrun``."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_language import Command, Toy

ROOT = Path(__file__).parents[2]
SIZES = ("--vocabulary", "words", "--embedding", "12", "--hidden", "12", "--epochs", "2", "--validations", "2")


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [*launcher, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=300)


def losses(folder: str) -> list[float]:
    return [json.loads(line)["valid_loss"] for line in Path(folder, "training.jsonl").read_text().splitlines()]


def test_two_processes_train_what_one_trains_with_twice_the_batch(command: Command, toy: Toy) -> None:
    arguments = ("lstm", "--text", toy.train, "--valid", toy.valid, *SIZES, "--batch-tokens", 256)
    finished = torchrun("pipelines.train", *arguments, "--out", "two")
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("two: done after") == 1
    assert command("train", *arguments, "--accumulate", 2, "--out", "one").code == 0
    assert losses("two") == pytest.approx(losses("one"), abs=1e-5)
    assert math.isfinite(losses("two")[-1])
    assert {path.name for path in Path("two").iterdir()} == {path.name for path in Path("one").iterdir()}


def test_bad_input_is_told_once(toy: Toy) -> None:
    arguments = ("lstm", "--text", toy.train, "--valid", toy.valid, "--out", "m", "--seed", -1)
    finished = torchrun("pipelines.train", *arguments)
    assert finished.returncode != 0
    assert finished.stderr.count("error: --seed: expected a whole number from 0") == 1
    assert "exitcode  : 2" in finished.stderr
    assert not Path("m").exists()
