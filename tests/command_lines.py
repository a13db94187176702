"""Command lines as a reader of the project types them, run one after another in one process of their own.

Most of a command's time goes into importing torch, and here it is imported once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

_DRIVER = """
import contextlib, io, json, sys

absent, commands, place = json.loads(sys.argv[1])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in absent:
    with contextlib.suppress(ModuleNotFoundError):
        __import__(name)
        sys.exit(f"{name} is there all the same")

from pipelines.__main__ import main

def run(words):
    sys.argv = ["asr-lm", *words]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()

with open(place, "w") as file:
    json.dump([run(words) for words in commands], file)
"""


class Ran(NamedTuple):
    """A command that came to its end: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def run_commands(commands: Sequence[Sequence[str]], folder: Path, absent: Sequence[str] = ()) -> list[Ran]:
    """Run ``asr-lm`` with the words of each command, in order.

    Args:
        commands: the words after ``asr-lm``.
        folder: the current folder of all of them. They share the cache of all tests of this run.
        absent: packages that cannot be imported, as if they were not installed.
    """
    place = folder / "finished.json"
    given = json.dumps([list(absent), [list(words) for words in commands], str(place)])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", _DRIVER, given], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return [Ran(*finished) for finished in json.loads(place.read_text())]
