"""The table of ``make bench`` in the README of this folder: written by the run itself, between two marks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN = "<!-- make bench writes from here -->"
END = "<!-- to here -->"
HEAD = "| benchmark | what | times | against | at least | |\n|---|---|---|---|---|---|"

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""What each benchmark gave, by its name."""


def rows(results: Results) -> dict[str, list[str]]:
    """The lines of each benchmark."""
    return {
        name: [
            f"| {name} | {_cell(found['name'])} | {found['ratio']:.2f} | {_cell(found['against'])} | {found['limit']} "
            f"| {_cell(str(found.get('notes', '')).strip('[]()'))} |"
            for found in several
        ]
        for name, several in results.items()
    }


def updated(text: str, results: Results, machine: str) -> str:
    """A README with the lines of these benchmarks in place of their old ones.

    Lines of benchmarks that did not run stay if they are of the same machine, and go otherwise.

    Raises:
        ValueError: the marks are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the table's marks are missing: {BEGIN} and {END}")
    kept = _old_rows(old) if f"Measured on {machine}." in old else {}
    lines = {**kept, **rows(results)}
    body = "\n".join(line for name in sorted(lines) for line in lines[name])
    return f"{before}{BEGIN}\n\nMeasured on {machine}.\n\n{HEAD}\n{body}\n\n{END}{after}"


def write(path: Path, results: Results, machine: str) -> None:
    """:func:`updated` of a file."""
    path.write_text(updated(path.read_text(), results, machine))


def _old_rows(table: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        if (match := re.match(r"\| (\w+) \| ", line)) and match[1] != "benchmark":
            found.setdefault(match[1], []).append(line)
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
