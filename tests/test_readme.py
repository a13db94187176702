"""The command lines of every README.md, as a reader would type them.

A line runs here where all that it reads is the packaged sample or was written by a line before it. Lines that need
other data say so with a placeholder (``$DATA``, ``...``).
"""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from command_lines import ROOT, Ran, run_commands

READMES = sorted(
    path.relative_to(ROOT)
    for path in ROOT.rglob("README.md")
    if not any(part.startswith(".") or part in ("runs", "corpora") for part in path.relative_to(ROOT).parts)
)
COMPLETE = Path("pipelines/README.md")
"""Here a line that does not run has a placeholder."""

PLACEHOLDERS = ("$", "...", "…")
WRITES = ("--out", "--json", "--report", "--markdown", "--plots", "--features", "--save-weights", "--ctm")


def command_lines(readme: Path) -> list[str]:
    """The indented lines that run a command of ours, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", (ROOT / readme).read_text())
    lines = re.findall(r"^    ((?:python -m pipelines\.|asr-lm ).*)$", joined, re.MULTILINE)
    return [line.split("  #")[0].strip() for line in lines]


def words_of(line: str) -> list[str]:
    """What follows ``asr-lm``."""
    return shlex.split(re.sub(r"^(python -m pipelines\.|asr-lm )", "", line))


def is_marked(line: str) -> bool:
    return any(mark in line for mark in PLACEHOLDERS)


def written(words: list[str]) -> list[str]:
    """The files and folders that a command writes."""
    return [value for option, value in pairwise(words) if option in WRITES]


def read(words: list[str]) -> list[str]:
    """The files and folders that a command reads."""
    paths = [word.rpartition("=")[2] for word in words if "/" in word or re.search(r"[a-z]\.[a-z]+$", word)]
    return [path for path in paths if path not in written(words)]


def lines_that_run(readme: Path) -> list[str]:
    """The lines for which everything is there."""
    there: set[str] = set()
    found = []
    for line in command_lines(readme):
        words = words_of(line)
        if not is_marked(line) and all(path.startswith("data/sample/") or path in there for path in read(words)):
            found.append(line)
            there.update(written(words))
    return found


@pytest.fixture(scope="module")
def outputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """What each line of a README did, run in order in a fresh folder."""
    lines = lines_that_run(request.param)
    if any("decode" in line for line in lines) and not find_spec("torchaudio"):
        pytest.skip("recognition is not installed")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "data").symlink_to(ROOT / "data")
    return dict(zip(lines, run_commands(list(map(words_of, lines)), folder), strict=True))


@pytest.mark.parametrize("outputs", [each for each in READMES if lines_that_run(each)], indirect=True, ids=str)
class TestLines:
    def test_every_line_runs(self, outputs: dict[str, Ran]) -> None:
        for line, ran in outputs.items():
            assert ran.code == 0, f"{line}\n{ran.err}"

    def test_rescoring_lowers_the_error_rate(self, outputs: dict[str, Ran]) -> None:
        for text in rescored(outputs):
            rates = dict(re.findall(r"^(first pass|rescored)\s+(\d+\.\d+)", text, re.MULTILINE))
            assert float(rates["rescored"]) < float(rates["first pass"])

    def test_the_domain_model_adds_to_the_packaged_one(self, outputs: dict[str, Ran]) -> None:
        bare = [rate(text) for line, text in of_the_test_list(outputs).items() if "--lm" not in line]
        tuned = [rate(text) for line, text in of_the_test_list(outputs).items() if "--dev" in line]
        assert all(each < least for each in tuned for least in bare)


def of_the_test_list(outputs: dict[str, Ran]) -> dict[str, str]:
    """What was printed of the packaged test list rescored."""
    return {line: ran.out for line, ran in outputs.items() if "rescore --nbest data/sample/test.json" in line}


def rescored(outputs: dict[str, Ran]) -> list[str]:
    return list(of_the_test_list(outputs).values())


def rate(text: str) -> float:
    found = re.search(r"^rescored\s+(\d+\.\d+)", text, re.MULTILINE)
    assert found, text
    return float(found.group(1))


def test_first_steps_run() -> None:
    assert sum("rescore --nbest data/sample/test.json" in line for line in lines_that_run(Path("README.md"))) >= 2


def test_a_line_that_cannot_run_has_a_placeholder() -> None:
    lines = command_lines(COMPLETE)
    assert lines_that_run(COMPLETE)
    assert [line for line in lines if not is_marked(line)] == lines_that_run(COMPLETE)
