"""Work on text alone needs none of the packages that recognition needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
ABSENT = ("torchaudio", "soundfile", "soxr", "flashlight")

# Every command runs in one process, because most of the time goes into importing torch.
DRIVER = """
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
    json.dump({name: run(words) for name, words in commands.items()}, file)
"""

SIZES = "--vocabulary-size 400 --embedding 8 --hidden 8"
LSTM = [*SIZES.split(), "--epochs", "1", "--patience", "0", "--validations", "1"]
COMMANDS = {
    "rescore": ["rescore", "--nbest", "test.json", "--out", "rescored.json"],
    "train": ["train", "lstm", "--text", "train.txt", "--valid", "valid.txt", "--out", "lstm", *LSTM],
    "train ngram": ["train", "ngram", "--text", "train.txt", "--out", "ngram", "--order", "3"],
    "compare": ["compare", "--dev", "dev.json", "--test", "test.json", "--lm", "lstm", "--lm", "default"],
    "perplexity": ["perplexity", "--lm", "lstm", "--text", "valid.txt"],
    "rescore with a trained model": [
        "rescore", "--nbest", "test.json", "--dev", "dev.json", "--lm", "lstm", "--out", "tuned.json"
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little of the packaged sample."""
    folder = tmp_path_factory.mktemp("text")
    for part in ("dev", "test"):
        records = json.loads((SAMPLE / f"{part}.json").read_text())
        (folder / f"{part}.json").write_text(json.dumps(records[:8]))
    lines = (SAMPLE / "train.txt").read_text().splitlines(keepends=True)
    (folder / "train.txt").write_text("".join(lines[:400]))
    (folder / "valid.txt").write_text("".join(lines[400:440]))
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, standard output and standard error of every command."""
    given = json.dumps([ABSENT, COMMANDS, "finished.json"])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ASR_LM_CACHE": str(folder / "cache")}
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER, given], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, tuple[int, str, str]] = json.loads((folder / "finished.json").read_text())
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_for_text_runs_without_them(finished: dict[str, tuple[int, str, str]], name: str) -> None:
    code, _, err = finished[name]
    assert code == 0, err


def test_what_was_written_is_there(finished: dict[str, tuple[int, str, str]], folder: Path) -> None:
    for rescored in ("rescored.json", "tuned.json"):
        assert len(json.loads((folder / rescored).read_text())) == 8
    assert (folder / "lstm" / "model.safetensors").is_file()
    assert "re-tuned first pass" in finished["compare"][1]
