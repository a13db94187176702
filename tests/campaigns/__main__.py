"""``python -m tests.campaigns NAME --inputs N --seed S``: run a campaign of this folder, longer than the tests do.

A campaign is a module with ``run(inputs, seed)``, which gives a dictionary for each row of its table. ``faults`` says
what was found, a line each. Exit code 1 where there are any.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import sys
from pathlib import Path

# Before torch is imported: a fork of several threads would wait for them for ever.
os.environ["OMP_NUM_THREADS"] = "1"

FOLDER = Path(__file__).parent
MOST_MEMORY = 10 << 30
"""Bytes of addresses for a process, torch's own among them: a reader that takes more is at fault, not the machine."""


def main() -> None:
    """Run one campaign and print its table."""
    modules = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Run a campaign.")
    parser.add_argument("name", choices=modules, help="which")
    parser.add_argument("--inputs", type=int, default=10_000, help="for every row of the table (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn by chance (default %(default)s)")
    chosen = parser.parse_args()
    sys.path.insert(0, str(FOLDER.parent))
    if chosen.name not in ("hostile_reports", "ray_kill"):  # a browser and Ray ask for terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    rows = importlib.import_module(f"campaigns.{chosen.name}").run(chosen.inputs, chosen.seed)
    is_faulty = False
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items() if name != "faults"), end=", ")
        print(f"{len(row['faults'])} faults", flush=True)
        is_faulty |= bool(row["faults"])
        for fault in row["faults"]:
            print(f"    {fault}")
    sys.exit(is_faulty)


if __name__ == "__main__":
    main()
