"""``make bench``: run the benchmarks of this folder, write ``bench.json`` and the table of the README.

A benchmark is a module with ``run() -> list[dict]``; each dictionary has ``name``, ``ratio`` (how many times better
than ``against``, measured in the same run: the median of five rounds with both sides in turn) and ``limit`` (the least
that is promised), and may have ``notes``. One that takes long says so with ``ON_REQUEST = True``: it runs when it is
named. All others together take less than :data:`MINUTES`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.benchmarks import _machine, _table

FOLDER = Path(__file__).parent
MINUTES = 15
"""What a run of all of them may take on two cores."""


def main() -> None:
    """Run the named benchmarks, or all; exit code 1 when one stays under its limit, or all take too long."""
    names = benchmarks()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", choices=[*names, []], help="which; by default all that take minutes")
    parser.add_argument("--no-table", action="store_true", help="leave the table of the README as it is")
    given = parser.parse_args()
    machine, begin, minutes = _machine.describe(), time.monotonic(), 0.0
    print(machine, flush=True)
    results: dict[str, list[dict[str, Any]]] = {}
    for name in given.names or filter(_is_quick, names):
        results[name] = _run(name)
        # At once: a benchmark that fails, or is stopped, takes the others' figures with it otherwise.
        minutes = (time.monotonic() - begin) / 60
        record = {"machine": machine, "minutes": round(minutes, 1), "results": results}
        Path("bench.json").write_text(json.dumps(record, indent=2) + "\n")
        if not given.no_table:
            _table.write(FOLDER / "README.md", {name: found for name, found in results.items() if found}, machine)
    print(f"{minutes:.1f} minutes")
    under = any(found["ratio"] < found["limit"] for several in results.values() for found in several)
    sys.exit(under or (not given.names and minutes > MINUTES))


def benchmarks() -> list[str]:
    """The modules of this folder that are benchmarks; others are run as ``python -m tests.benchmarks.NAME``."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py") if "\ndef run(" in path.read_text())


def _run(name: str) -> list[dict[str, Any]]:
    """What a benchmark gave, each printed as it is known."""
    begin, threads = time.monotonic(), torch.get_num_threads()
    found: list[dict[str, Any]] = _module(name).run()
    torch.set_num_threads(threads)  # some measure one
    for result in found:
        verdict = "ok" if result["ratio"] >= result["limit"] else "UNDER THE LIMIT"
        print(
            f"{result['name']}: {result['ratio']:.2f} times {result['against']} "
            f"(limit {result['limit']}) {verdict} {result.get('notes', '')}".rstrip(),
            flush=True,
        )
    print(f"  {name}: {time.monotonic() - begin:.0f} s", flush=True)
    return found


def _is_quick(name: str) -> bool:
    return not getattr(_module(name), "ON_REQUEST", False)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"tests.benchmarks.{name}")


if __name__ == "__main__":
    main()
