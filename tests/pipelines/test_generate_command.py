"""``generate``: models write, and say how probable they found it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from toy_language import Command, Toy, call, utterance

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.lm.loading import load_model
from asr_lm.lm.protocol import language_model

SIZES = ("--vocabulary", "words", "--embedding", 12, "--hidden", 12, "--attention", 8, "--maxout", 12)


def records(path: str = "g.json") -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(Path(path).read_text())
    return found


def test_what_is_printed_is_what_the_model_gives(command: Command, ngram: Path, lstm: Path) -> None:
    options = ("--prompt", "the cat", "--number", 4, "--seed", 3, "--json", "g.json")
    finished = command("generate", "--lm", ngram, "--lm", f"net={lstm}", *options)
    assert finished.code == 0, finished.err
    assert [record["lm"] for record in records()] == ["ngram"] * 4 + ["net"] * 4
    for record in records():
        model = language_model(load_model(ngram if record["lm"] == "ngram" else lstm))
        assert str(record["text"]).startswith("the cat")
        (values,) = model.token_log_probs(model.encode([str(record["text"])]))
        written = values[2:] if record["ended"] else values[2:-1]
        told = [word["log_prob"] for word in record["words"]]  # type: ignore[attr-defined]
        np.testing.assert_allclose(told, written, atol=1e-4)
        assert record["log_prob"] == pytest.approx(sum(told))
        for word in record["words"]:  # type: ignore[attr-defined]
            assert f"{word['word']} {math.exp(word['log_prob']):.3g}" in finished.out
        assert f"(log10 {sum(told) / math.log(10):.2f})" in finished.out


def test_the_same_seed_writes_the_same(command: Command, ngram: Path) -> None:
    arguments = ("generate", "--lm", ngram, "--number", 5)
    assert command(*arguments).out == command(*arguments).out != command(*arguments, "--seed", 1).out
    assert command(*arguments, "--temperature", 0).out == command(*arguments, "--top-k", 1, "--seed", 7).out


def test_a_text_is_broken_off(command: Command, ngram: Path) -> None:
    finished = command("generate", "--lm", ngram, "--longest", 1, "--json", "g.json", "--temperature", 0)
    (record,) = records()
    assert not record["ended"]
    assert f"1. {record['text']} …" in finished.out


def test_without_a_model_the_packaged_one_writes(command: Command) -> None:
    finished = command("generate", "--longest", 3)
    assert finished.code == 0, finished.err
    assert "no --lm given: the packaged model writes" in finished.err
    assert finished.out.startswith("default (lstm)\n1. ")


def test_words_of_the_prompt_that_are_unknown_are_told(command: Command, ngram: Path) -> None:
    finished = command("generate", "--lm", ngram, "--prompt", "the zebra sees", "--longest", 2)
    assert "1 of 3 words of the prompt is unknown to ngram" in finished.err
    assert finished.out.splitlines()[1].startswith("1. the <unk> sees ")


def test_a_corrector_writes_for_the_utterances_of_a_list(command: Command, toy: Toy, ngram: Path) -> None:
    generator = random.Random(5)
    for name, spoken in (("pairs", toy.sentences[:40]), ("pairs-valid", toy.sentences[40:50])):
        lists = [utterance(f"{name}{n}", n, text, generator) for n, text in enumerate(spoken)]
        write_nbest(Path(f"{name}.json"), lists)
    learnt = ("--nbest", "pairs.json", "--valid-nbest", "pairs-valid.json", "--epochs", 1, "--out", "birnn", *SIZES)
    assert call("train", "birnn-attention", *learnt).code == 0
    options = ("--number", 2, "--longest", 8, "--json", "g.json")
    finished = command("generate", "--lm", "birnn", "--nbest", toy.test, "--utterances", 3, *options)
    assert finished.code == 0, finished.err
    expected = [some.id for some in list(read_nbest(toy.test))[:3]]
    assert [record["utterance"] for record in records()] == [name for name in expected for _ in range(2)]
    for some in list(read_nbest(toy.test))[:3]:
        assert f"{some.id}, heard: {some.hypotheses[0].text}" in finished.out
    assert (
        "--nbest: a model of family 'birnn-attention' writes given what a"
        in command("generate", "--lm", "birnn").complaint
    )
    refused = command("generate", "--lm", ngram, "--nbest", toy.test).complaint
    assert "--nbest: a model of family 'ngram' writes without a list" in refused


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--temperature", -1), "--temperature: expected 0 or a number above"),
        (("--top-k", 0), "--top-k: expected a number above 0"),
        (("--number", 0), "--number: expected a number above 0"),
        (("--longest", 0), "--longest: expected a number above 0"),
        (("--seed", -1), "--seed: expected 0 or a number above"),
        (("--json", "none/g.json"), "there is no folder none"),
    ],
)
def test_what_cannot_be_written_is_said(
    command: Command, ngram: Path, arguments: tuple[object, ...], complaint: str
) -> None:
    assert complaint in command("generate", "--lm", ngram, *arguments).complaint


def test_a_prompt_goes_through_the_normaliser_that_is_given(command: Command, ngram: Path) -> None:
    bare = next(ngram.glob("model.*"))
    arguments = ("--prompt", "THE CAT", "--longest", 2, "--temperature", 0)
    plain = command("generate", "--lm", f"a={bare}", *arguments)
    assert "2 of 2 words of the prompt are unknown to a" in plain.err
    lower = command("generate", "--lm", f"b={bare}?normalizer=lower", *arguments)
    assert "unknown" not in lower.err
    assert lower.out.splitlines()[1].startswith("1. the cat")
    assert "'loud'" in command("generate", "--lm", f"{bare}?normalizer=loud", *arguments).complaint
