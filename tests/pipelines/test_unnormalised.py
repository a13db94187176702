"""``rescore`` and ``compare --unnormalised``: scores without the sum over the vocabulary, never unless asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from toy_language import Command, Toy, call

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.loading import load_model
from asr_lm.rescoring.scoring.models import RescoringModel


@pytest.fixture(scope="module")
def nce(toy: Toy) -> Path:
    """A small RNNLM trained by noise-contrastive estimation."""
    folder = toy.folder / "nce"
    sizes = ("--vocabulary", "words", "--hidden", 16, "--output", "nce", "--noise-samples", 20)
    pace = ("--epochs", 6, "--batch-tokens", 128, "--learning-rate", 0.02)
    finished = call("train", "rnnlm", "--text", toy.train, "--valid", toy.valid, "--out", folder, *sizes, *pace)
    assert finished.code == 0, finished.err
    return folder


def scores(path: Path | str, column: str) -> np.ndarray:
    return np.array([h.scores[column] for utterance in read_nbest(path) for h in utterance.hypotheses])


def test_it_is_said_and_the_scores_are_the_networks_own(command: Command, toy: Toy, nce: Path) -> None:
    arguments = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", f"n={nce}", "--cache-folder", "cache")
    exact = command(*arguments, "--out", "exact.json", "--json", "exact")
    quick = command(*arguments, "--out", "quick.json", "--json", "quick", "--unnormalised", "n")
    assert (exact.code, quick.code) == (0, 0), exact.err + quick.err
    assert "the scores of n are not normalised" in " ".join(quick.err.split())
    assert "not normalised" not in exact.err
    assert json.loads(Path("quick").read_text())["unnormalised"] == ["n"]
    assert "unnormalised" not in json.loads(Path("exact").read_text())
    # The cache of the one is not that of the other, and training made the two nearly alike.
    normalised, plain = scores("exact.json", "n"), scores("quick.json", "n")
    assert not np.allclose(normalised, plain, atol=1e-3)
    assert np.corrcoef(normalised, plain)[0, 1] > 0.9


def test_compare_says_it_too(command: Command, toy: Toy, ngram: Path, nce: Path) -> None:
    arguments = ("--lm", f"n={nce}", "--lm", f"g={ngram}", "--unnormalised", "n", "--json", "c.json")
    finished = command("compare", "--dev", toy.dev, "--test", toy.test, *arguments)
    assert finished.code == 0, finished.err
    assert "the scores of n are not normalised" in " ".join(finished.err.split())
    assert json.loads(Path("c.json").read_text())["unnormalised"] == ["n"]


@pytest.mark.parametrize(
    ("lm", "complaint"),
    [
        ("ngram", "--unnormalised: a model of family 'ngram' cannot leave out its normaliser"),
        ("lstm", "--unnormalised: only an output trained by noise-contrastive estimation"),
        ("other", "--unnormalised: no model is called 'm'"),
    ],
)
def test_models_that_are_not_trained_for_it(
    command: Command, toy: Toy, lm: str, complaint: str, request: pytest.FixtureRequest
) -> None:
    named = "o=default" if lm == "other" else f"m={request.getfixturevalue(lm)}"
    finished = command("rescore", "--nbest", toy.test, "--lm", named, "--unnormalised", "m")
    assert finished.code == 2
    assert complaint in finished.complaint


def test_the_two_are_different_models_to_a_cache(nce: Path) -> None:
    exact, quick = RescoringModel.open(f"n={nce}"), RescoringModel.open(f"n={nce}", unnormalised=["n"])
    assert (exact.unnormalised, quick.unnormalised) == (False, True)
    assert exact.model.fingerprint() == load_model(nce).fingerprint() != quick.model.fingerprint()
