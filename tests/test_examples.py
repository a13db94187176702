"""The examples run, and say what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = {
    "rescore_in_memory.py": ["call-1 the ferry is late again", "call-2 we moored the boat"],
    "tune_save_and_serve.py": [" -> "],
    "compare_two_models.py": ["first_pass: ", "default + harbour: ", "oracle: "],
}


def test_every_example_is_run() -> None:
    assert {path.name for path in (ROOT / "tests" / "examples").glob("*.py")} == set(PROMISES)


@pytest.mark.parametrize(("name", "lines"), PROMISES.items())
def test_an_example(name: str, lines: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "examples" / name)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    for line in lines:
        assert line in finished.stdout
