"""``make bench``: run every benchmark of this folder, print one line each and write ``bench.json``.

A benchmark is a module with ``run() -> list[dict]``; each dictionary has ``name``, ``ratio`` (how many times better
than ``against``, measured in the same run) and ``limit`` (the least that is promised), and may have ``notes``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    """Run the named benchmarks, or all; exit code 1 when one stays under its limit."""
    modules = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", choices=[*modules, []], help="which; all by default")
    chosen = parser.parse_args().names or modules
    results = []
    for name in chosen:
        for result in importlib.import_module(f"tests.benchmarks.{name}").run():
            verdict = "ok" if result["ratio"] >= result["limit"] else "UNDER THE LIMIT"
            print(
                f"{result['name']}: {result['ratio']:.2f} times {result['against']} "
                f"(limit {result['limit']}) {verdict} {result.get('notes', '')}".rstrip(),
                flush=True,
            )
            results.append(result)
    Path("bench.json").write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(any(result["ratio"] < result["limit"] for result in results))


if __name__ == "__main__":
    main()
