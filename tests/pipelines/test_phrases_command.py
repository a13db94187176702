"""``rescore --phrases``: lists of everywhere and of one utterance, their figures, and what an empty list changes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from toy_language import Command, Toy

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.writing import write_nbest


def test_an_empty_list_gives_the_same_bytes(toy: Toy, ngram: Path, command: Command) -> None:
    Path("none.txt").write_text("")
    given = ("--nbest", toy.test, "--dev", toy.dev, "--lm", ngram)
    for out, more in (("plain.json", ()), ("empty.json", ("--phrases", "none.txt"))):
        finished = command("rescore", *given, *more, "--out", out)
        assert finished.code == 0, finished.err
    assert Path("plain.json").read_bytes() == Path("empty.json").read_bytes()


def test_listed_words_have_figures_of_their_own(toy: Toy, ngram: Path, command: Command) -> None:
    utterances = list(read_nbest(toy.test))
    own = [msgspec.structs.replace(u, phrases=tuple((u.reference or "").split()[-1:])) for u in utterances]
    write_nbest("own.json", own)
    Path("phrases.txt").write_text("Letter\t2\n")
    given = ("--dev", toy.dev, "--lm", ngram, "--phrases", "phrases.txt", "--save-weights", "weights.json")
    finished = command("rescore", "--nbest", "own.json", *given, "--out", "out.json", "--json", "found.json")
    assert finished.code == 0, finished.err
    assert "B-WER" in finished.out
    found = json.loads(Path("found.json").read_text())
    assert found["phrases"]["rescored"]["listed_words"] >= len(own)
    assert found["phrases"]["rescored"]["b_wer"] <= found["phrases"]["first_pass"]["b_wer"]
    assert "phrases" in json.loads(Path("weights.json").read_text())["values"]
    again = ("--weights", "weights.json", "--lm", ngram, "--phrases", "phrases.txt", "--out", "again.json")
    assert command("rescore", "--nbest", "own.json", *again).code == 0
    assert Path("again.json").read_bytes() == Path("out.json").read_bytes()


def test_a_wrong_weight_is_named_before_anything_is_scored(toy: Toy, ngram: Path, command: Command) -> None:
    Path("phrases.txt").write_text("ada\nbob\tmuch\n")
    finished = command("rescore", "--nbest", toy.test, "--lm", ngram, "--phrases", "phrases.txt", "--out", "out.json")
    assert finished.code == 2
    assert "phrases.txt" in finished.err
    assert not Path("out.json").exists()


def test_there_is_nothing_to_trust_without_phrases(toy: Toy, ngram: Path, command: Command) -> None:
    finished = command("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", ngram, "--trust-phrases")
    assert finished.code == 2
    assert "--trust-phrases: is for listed phrases, and there are none" in finished.err
