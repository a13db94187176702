"""The short form of the campaign against the readers of lattices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_reader_fails_on_damaged_files() -> None:
    command = [sys.executable, "-m", "tests.campaigns", "lattice_readers", "--inputs", "120", "--seed", "20"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stdout
    rows = finished.stdout.splitlines()
    assert len(rows) == 8
    assert all("inputs 120" in row and row.endswith(" 0 faults") for row in rows)
