"""The README's first steps, as a reader would type them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def commands(section):
    text = (ROOT / "README.md").read_text()
    body = re.search(rf"^## {section}$(.*?)^## ", text, re.DOTALL | re.MULTILINE).group(1)
    joined = body.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.startswith("    python -m ")]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each command of "First steps" printed on standard output, run in order in a fresh folder."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "data").symlink_to(ROOT / "data")
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    printed = {}
    for command in commands("First steps"):
        arguments = [sys.executable, *shlex.split(command)[1:]]
        finished = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        printed[command] = finished.stdout
    return printed


def test_first_steps_run_and_lower_the_error_rate(outputs):
    rescoring = [text for command, text in outputs.items() if "pipelines.rescore" in command]
    assert len(rescoring) >= 2
    for text in rescoring:
        rates = dict(re.findall(r"^(first pass|rescored)\s+(\d+\.\d+)", text, re.MULTILINE))
        assert float(rates["rescored"]) < float(rates["first pass"])


def test_the_domain_model_adds_to_the_packaged_one(outputs):
    bare, tuned = (text for command, text in outputs.items() if "pipelines.rescore" in command)
    rate = [float(re.search(r"^rescored\s+(\d+\.\d+)", text, re.MULTILINE).group(1)) for text in (bare, tuned)]
    assert rate[1] < rate[0]
