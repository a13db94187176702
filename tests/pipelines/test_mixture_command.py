"""``train mixture``, and context and subtraction where lists are rescored and compared."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from toy_language import Command, Toy

from asr_lm.hypotheses.writing import write_nbest


@pytest.fixture
def backwards(command: Command, toy: Toy) -> Path:
    """A 3-gram of the sentences read backwards, and in ``both.txt`` some for validation, forwards and backwards."""
    turned = {
        path: [" ".join(line.split()[::-1]) for line in path.read_text().splitlines()]
        for path in (toy.train, toy.valid)
    }
    Path("turned.txt").write_text("\n".join(turned[toy.train]))
    Path("both.txt").write_text("\n".join([*turned[toy.valid], toy.valid.read_text()]))
    finished = command("train", "ngram", "--text", "turned.txt", "--out", "backwards", "--order", 3)
    assert finished.code == 0, finished.err
    return Path("backwards").resolve()


def test_a_mixture_is_a_model_for_every_command(command: Command, toy: Toy, ngram: Path, backwards: Path) -> None:
    members = ("--lm", ngram, "--lm", f"back={backwards}")
    made = command("train", "mixture", *members, "--valid", "both.txt", "--out", "mix")
    assert made.code == 0, made.err
    lines = made.err.splitlines()
    assert lines[0].startswith("  ngram: weight 0.")
    assert lines[1].startswith("  back: weight 0.")
    assert "alone validation perplexity a word " in lines[1]
    assert lines[-1].startswith("mix: validation perplexity a word ")
    measured = command("perplexity", *members, "--lm", "mix", "--text", "both.txt", "--json", "p.json")
    assert measured.code == 0, measured.err
    alone, other, mixed = (record["per_word"] for record in json.loads(Path("p.json").read_text()))
    assert mixed < min(alone, other)
    assert f"mix: validation perplexity a word {mixed:,.2f}, a token {mixed:,.2f} " in made.err
    rescored = command("rescore", "--dev", toy.dev, "--nbest", toy.test, "--lm", "mix", "--json", "r.json")
    assert rescored.code == 0, rescored.err
    compared = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", "mix", "--json", "c.json")
    assert compared.code == 0, compared.err
    figures = [json.loads(Path(name).read_text()) for name in ("r.json", "c.json")]
    assert figures[0]["rescored"]["wer"] == figures[1]["systems"]["mix"]["wer"] < figures[0]["retuned"]["wer"]


def test_streams_and_copies(command: Command, toy: Toy, backwards: Path, lstm: Path) -> None:
    members = ("--lm", backwards, "--lm", lstm, "--valid", "both.txt")
    made = command("train", "mixture", *members, "--out", "mix", "--context", "stream", "--copy")
    assert made.code == 0, made.err
    assert (Path("mix") / "members" / "lstm" / "config.json").exists()
    options = ("--lm", "mix", "--lm", lstm, "--text", "both.txt", "--context", "stream")
    measured = command("perplexity", *options, "--json", "p.json")
    assert measured.code == 0, measured.err
    mixed, alone = (record["per_word"] for record in json.loads(Path("p.json").read_text()))
    assert mixed < alone
    assert f"mix: validation perplexity a word {mixed:,.2f}, a token {mixed:,.2f} " in made.err


def test_what_makes_no_mixture_is_said_in_one_line(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    options = ("--valid", toy.valid, "--out", "none")
    assert "at least two" in command("train", "mixture", "--lm", ngram, *options).complaint
    assert "two members are called" in command("train", "mixture", "--lm", ngram, "--lm", ngram, *options).complaint
    both = ("--lm", ngram, "--lm", lstm)
    assert "no such" in command("train", "mixture", *both, "--valid", "gone.txt", "--out", "none").complaint
    log_linear = (*both, "--kind", "log-linear", "--context", "stream")
    assert "sentence by sentence" in command("train", "mixture", *log_linear, *options).complaint


def test_context_changes_what_recurrent_models_say(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    options = ("--nbest", toy.test, "--dev", toy.dev, "--lm", ngram, "--lm", lstm)
    written = {}
    for context in (0, 2):
        out = f"{context}.json"
        finished = command("rescore", *options, "--context", context, "--out", out)
        assert finished.code == 0, finished.err
        assert ("warning: ngram reads no context" in finished.err) == bool(context)
        assert ("warning: lstm was trained on single sentences" in finished.err) == bool(context)
        utterances = json.loads(Path(out).read_text())
        written[context] = {
            (utterance["id"], hypothesis["text"]): hypothesis["scores"]
            for utterance in utterances
            for hypothesis in utterance["hypotheses"]
        }
    firsts = {utterance.id for number, utterance in enumerate(toy.utterances("test")) if number % 5 == 0}
    for key, scores in written[0].items():
        assert written[2][key]["ngram"] == scores["ngram"]
        same = written[2][key]["lstm"] == pytest.approx(scores["lstm"], rel=1e-5)
        assert same == (key[0] in firsts), key
    compared = command(
        "compare", "--dev", toy.dev, "--test", toy.test, "--lm", lstm, "--context", 2, "--json", "c.json"
    )
    assert compared.code == 0, compared.err


def test_context_needs_recordings_and_a_number(command: Command, toy: Toy, lstm: Path) -> None:
    bare = [msgspec.structs.replace(utterance, recording=None) for utterance in toy.utterances("test")]
    write_nbest("bare.json", bare)
    options = ("--nbest", "bare.json", "--lm", lstm)
    complaint = command("rescore", *options, "--context", 1).complaint
    assert "bare.json" in complaint
    assert "recording" in complaint
    assert "0 or more" in command("rescore", *options, "--context", -1).complaint


def test_what_is_subtracted_has_rows_of_its_own(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    options = ("--dev", toy.dev, "--test", toy.test, "--lm", lstm, "--lm", f"low={ngram}", "--subtract", "low")
    finished = command("compare", *options, "--json", "c.json")
    assert finished.code == 0, finished.err
    record = json.loads(Path("c.json").read_text())
    names = [name for name in record["systems"] if "," not in name]
    assert names == ["lstm", "lstm - low"]
    assert record["weights"]["lstm - low"]["low"] <= 0
    assert any(line.startswith("lstm - low ") for line in finished.out.splitlines())
