"""``train bilstm`` and what the other commands make of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from toy_language import Command, Toy, call

SIZES = ("--vocabulary", "words", "--embedding", 24, "--hidden", 24)
PACE = ("--epochs", 8, "--batch-tokens", 128, "--learning-rate", 0.02)


@pytest.fixture(scope="module", params=["joint", "sum"])
def trained(request: pytest.FixtureRequest, toy: Toy) -> tuple[str, Path, str]:
    """The combination, a folder trained with it, and what the command said."""
    folder = toy.folder / f"bilstm-{request.param}"
    texts = ("--text", toy.train, "--valid", toy.valid, "--out", folder)
    with contextlib.chdir(toy.folder):
        finished = call("train", "bilstm", *texts, "--combine", request.param, *SIZES, *PACE)
    assert finished.code == 0, finished.err
    return request.param, folder, finished.err


def test_training_tells_its_figure_by_its_name(trained: tuple[str, Path, str]) -> None:
    combine, _, said = trained
    assert ("validation pseudo-perplexity a word" in said) == (combine == "joint")
    assert ("validation perplexity a word" in said) == (combine == "sum")


def test_it_lowers_the_error_rate(command: Command, toy: Toy, trained: tuple[str, Path, str]) -> None:
    _, folder, _ = trained
    finished = command("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", folder, "--json", "r.json")
    assert finished.code == 0, finished.err
    record = json.loads(Path("r.json").read_text())
    assert record["rescored"]["wer"] < record["retuned"]["wer"]


def test_a_pseudo_perplexity_is_never_beside_a_perplexity(
    command: Command, toy: Toy, ngram: Path, trained: tuple[str, Path, str]
) -> None:
    combine, folder, _ = trained
    finished = command("perplexity", "--lm", folder, "--lm", ngram, "--text", toy.valid, "--json", "p.json")
    assert finished.code == 0, finished.err
    ours, other = json.loads(Path("p.json").read_text())
    assert {"per_token", "per_word", "per_compared_word"} <= set(other)
    figures = {"per_token", "per_word", "per_compared_word", "compared_share", "log_prob"}
    if combine == "joint":
        assert not figures & set(ours)
        assert {"pseudo_per_token", "pseudo_per_word", "pseudo_log_likelihood"} <= set(ours)
        proper, pseudo = finished.out.split("pseudo", 1)
        assert f"{other['per_word']:.2f}" in proper
        assert folder.name not in proper.replace("\n", "")
        assert f"{ours['pseudo_per_word']:.2f}" in pseudo
    else:
        assert figures <= set(ours)
        assert "pseudo" not in finished.out


def test_a_stream_is_refused(command: Command, toy: Toy) -> None:
    texts = ("--text", toy.train, "--valid", toy.valid, "--out", "m")
    finished = command("train", "bilstm", *texts, *SIZES, "--context", "stream")
    assert "reads sentence by sentence, not a stream" in finished.complaint


def test_nothing_is_carried_from_sentence_to_sentence(
    command: Command, toy: Toy, trained: tuple[str, Path, str]
) -> None:
    finished = command("perplexity", "--lm", trained[1], "--text", toy.valid, "--context", "stream")
    assert "'bilstm' has no state to carry" in finished.complaint
