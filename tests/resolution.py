"""``make test-resolution``: every Python that ``pyproject.toml`` admits finds a wheel of every dependency.

Nothing is installed: pip resolves ``asr_lm[dev]`` for another Python, with the versions of ``constraints.txt``, and
takes wheels only, so what it accepts needs no compiler.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PYTHONS = tuple(f"3.{minor}" for minor in range(8, 20))


def main() -> None:
    """Resolve for the Pythons named, or for all; exit code 1 when one cannot be served."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    admitted = [python for python in PYTHONS if python in SpecifierSet(project["requires-python"])]
    parser = argparse.ArgumentParser(prog="python -m tests.resolution", description="Resolve the dependencies.")
    parser.add_argument("pythons", nargs="*", help=f"which; by default {', '.join(admitted)}")
    complaints = []
    for python in parser.parse_args().pythons or admitted:
        complaints.append(resolve(python, sorted(set(wanted(project, python)))))
        print(f"Python {python}: {complaints[-1] or 'a wheel of every dependency'}", flush=True)
    sys.exit(any(complaints))


def wanted(project: dict[str, Any], python: str, extra: str = "dev") -> Iterator[str]:
    """The requirements of the project with an extra that hold for a Python.

    pip would look at the markers with the Python that it runs on itself.
    """
    lines = project["dependencies"] + project["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            for other in requirement.extras:
                yield from wanted(project, python, other)
        elif requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            requirement.marker = None
            yield str(requirement)


def resolve(python: str, requirements: list[str]) -> str:
    """What stands in the way of installing the requirements as wheels; nothing when none does."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--dry-run", "--quiet", "--target", folder, "--python-version", python, "--only-binary", ":all:"]
        constraints = ["--constraint", str(ROOT / "tests" / "constraints.txt")]
        line = [sys.executable, "-m", "pip", "install", *options, *constraints, *requirements]
        finished = subprocess.run(line, capture_output=True, text=True, check=False)
    if finished.returncode == 0:
        return ""
    return " ".join(said for said in finished.stderr.splitlines() if said.startswith("ERROR")) or finished.stderr


if __name__ == "__main__":
    main()
