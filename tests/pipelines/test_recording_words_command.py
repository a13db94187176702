"""``--recording-words``: a score of the whole list, tuned like any other, and refused where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from toy_language import Command, Toy

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.writing import write_nbest


@pytest.fixture
def lists(toy: Toy) -> dict[str, Path]:
    """The lists of the toy language, ten utterances a recording, and a text."""
    found = {}
    for part in ("dev", "test"):
        utterances = [
            msgspec.structs.replace(utterance, recording=f"{part}{number // 10}")
            for number, utterance in enumerate(toy.utterances(part))
        ]
        found[part] = Path(f"{part}.jsonl")
        write_nbest(found[part], utterances)
    found["text"] = Path("text.txt")
    found["text"].write_text("\n".join(each.reference or "" for each in toy.utterances("dev")))
    return found


def test_it_is_tuned_kept_and_applied(command: Command, lists: dict[str, Path], ngram: Path) -> None:
    words = ("--recording-words", lists["text"])
    told = ("--dev", lists["dev"], "--save-weights", "w.json", "--json", "figures.json")
    finished = command("rescore", "--nbest", lists["test"], *told, "--lm", ngram, *words, "--force")
    assert finished.code == 0, finished.err
    assert "recording" in json.loads(Path("w.json").read_text())["values"]
    first = Path("test.rescored.json").read_bytes()
    assert all("recording" in one.scores for each in read_nbest("test.rescored.json") for one in each.hypotheses)
    finished = command(
        "rescore", "--nbest", "-", "--weights", "w.json", "--lm", ngram, *words, stdin=lists["test"].read_bytes()
    )
    assert finished.code == 0, finished.err
    by_id = {each.id: each.hypotheses[0].text for each in read_nbest("test.rescored.json")}
    Path("again.jsonl").write_bytes(finished.raw)
    assert {each.id: each.hypotheses[0].text for each in read_nbest("again.jsonl")} == by_id
    assert first == Path("test.rescored.json").read_bytes()


def test_weights_tuned_with_it_want_it(command: Command, lists: dict[str, Path], ngram: Path) -> None:
    told = ("--dev", lists["dev"], "--save-weights", "w.json", "--recording-words", lists["text"], "--force")
    assert command("rescore", "--nbest", lists["test"], *told, "--lm", ngram).code == 0
    Path("test.rescored.json").unlink()
    assert "recording" in command("rescore", "--nbest", lists["test"], "--weights", "w.json", "--lm", ngram).complaint


def test_compare_has_it_in_every_row(command: Command, lists: dict[str, Path], ngram: Path) -> None:
    told = ("--dev", lists["dev"], "--test", lists["test"], "--lm", ngram, "--recording-words", lists["text"])
    finished = command("compare", *told)
    assert finished.code == 0, finished.err
    assert "recording" in finished.out
    assert "tuned on dev.jsonl" in finished.out


def test_what_cannot_be_is_refused(command: Command, lists: dict[str, Path], toy: Toy, ngram: Path) -> None:
    words = ("--recording-words", lists["text"], "--lm", ngram)
    assert "--dev or --weights" in command("rescore", "--nbest", lists["test"], *words).complaint
    told = ("--nbest", lists["test"], "--dev", lists["dev"])
    complaint = command("rescore", *told, "--engine", "ray", *words).complaint
    assert "--recording-words" in complaint
    write_nbest("bare.jsonl", [msgspec.structs.replace(each, recording=None) for each in toy.utterances("dev")])
    complaint = command("rescore", "--nbest", lists["test"], "--dev", "bare.jsonl", *words).complaint
    assert "no recording" in complaint
    assert "bare.jsonl" in complaint
    complaint = command("rescore", *told, "--recording-words", "nowhere.txt", "--lm", ngram).complaint
    assert "nowhere.txt" in complaint
    complaint = command("rescore", *told, *words, "--out", lists["text"]).complaint
    assert "text.txt" in complaint
