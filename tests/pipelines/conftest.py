"""An empty folder for every test, lists and models of the toy language for all of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from toy_language import Command, Toy, call, make_toy


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_LM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command() -> Command:
    return call


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def ngram(toy: Toy) -> Path:
    """A trained 3-gram."""
    folder = toy.folder / "ngram"
    with contextlib.chdir(toy.folder):
        finished = call("train", "ngram", "--text", toy.train, "--out", folder, "--order", 3)
    assert finished.code == 0, finished.err
    return folder


@pytest.fixture(scope="session")
def lstm(toy: Toy) -> Path:
    """A trained LSTM over words."""
    folder = toy.folder / "lstm"
    sizes = ("--vocabulary", "words", "--embedding", 24, "--hidden", 24)
    pace = ("--epochs", 8, "--batch-tokens", 128, "--learning-rate", 0.02)
    with contextlib.chdir(toy.folder):
        finished = call("train", "lstm", "--text", toy.train, "--valid", toy.valid, "--out", folder, *sizes, *pace)
    assert finished.code == 0, finished.err
    return folder
