"""Work on text alone needs neither the packages that recognition needs nor KenLM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_lines import ROOT, Ran, run_commands

SAMPLE = ROOT / "data" / "sample"
ABSENT = ("torchaudio", "soundfile", "soxr", "flashlight", "kenlm")

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
def finished(folder: Path) -> dict[str, Ran]:
    """What every command did."""
    return dict(zip(COMMANDS, run_commands(list(COMMANDS.values()), folder, ABSENT), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_for_text_runs_without_them(finished: dict[str, Ran], name: str) -> None:
    assert finished[name].code == 0, finished[name].err


def test_what_was_written_is_there(finished: dict[str, Ran], folder: Path) -> None:
    for rescored in ("rescored.json", "tuned.json"):
        assert len(json.loads((folder / rescored).read_text())) == 8
    assert (folder / "lstm" / "model.safetensors").is_file()
    assert "re-tuned first pass" in finished["compare"].out
