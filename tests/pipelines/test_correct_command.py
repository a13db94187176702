"""``train birnn-attention``, ``rescore --correct`` and ``--plot-attention``, as they are typed."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_language import Command, Toy, call, utterance

from asr_lm.acoustic.tokens import Tokens
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.rescoring.acoustics import Acoustics

SIZES = ("--vocabulary", "words", "--embedding", 12, "--hidden", 12, "--attention", 8, "--maxout", 12)
PACE = ("--epochs", 3, "--batch-tokens", 150, "--learning-rate", 0.02, "--validations", 3)


@pytest.fixture(scope="session")
def birnn(toy: Toy) -> Path:
    """A small model trained on lists of 60 training sentences."""
    generator, folder = random.Random(5), toy.folder / "birnn"
    for name, spoken in (("pairs", toy.sentences[:60]), ("pairs-valid", toy.sentences[60:70])):
        some = [utterance(f"{name}{n}", n, text, generator) for n, text in enumerate(spoken)]
        write_nbest(toy.folder / f"{name}.json", some)
    lists = ("--nbest", toy.folder / "pairs.json", "--valid-nbest", toy.folder / "pairs-valid.json")
    with contextlib.chdir(toy.folder):
        text = ("--pretrain-text", toy.valid, "--pretrain-epochs", 1)
        finished = call("train", "birnn-attention", *lists, "--out", folder, *text, *SIZES, *PACE)
    assert finished.code == 0, finished.err
    assert re.search(r"validation perplexity a word ([\d.]+), a token \1 ", finished.err)
    return folder


def test_a_report_says_what_can_be_said_of_a_model_of_lists(
    toy: Toy, birnn: Path, ngram: Path, command: Command
) -> None:
    models = ("--lm", f"net={birnn}", "--lm", ngram)
    lists = ("--dev", toy.dev, "--test", toy.test)
    finished = command("compare", *lists, *models, "--no-mbr", "--report", "r.html", "--json", "c.json")
    assert finished.code == 0, finished.err
    assert finished.written == {"r.html", "c.json"}
    systems = json.loads(Path("c.json").read_text())["systems"]
    assert systems["net"]["perplexity"] is None
    assert systems["ngram"]["perplexity"] > 1


def test_correcting_a_list(toy: Toy, birnn: Path, ngram: Path, command: Command) -> None:
    finished = command(
        *("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", birnn, "--lm", ngram, "--correct", "--beam", 3),
        *("--corrections", 2, "--out", "out.jsonl", "--json", "out.json", "--save-weights", "weights.json"),
        *("--plot-attention", "pictures", "--force"),
    )
    assert finished.code == 0, finished.err
    assert "rescored and corrected" in finished.out + finished.err
    result = json.loads(Path("out.json").read_text())
    assert {"first_pass", "retuned", "rescored", "corrected", "oracle", "compositional_oracle"} <= result.keys()
    correction = result["correction"]
    assert 0 < correction["written"] <= 40
    assert correction["taken"] <= min(correction["changed"], correction["written"])
    assert correction["systems"]["corrected"]["errors"] == sum(
        result["corrected"][kind] for kind in ("substitutions", "deletions", "insertions")
    )
    bare = command("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", birnn, "--lm", ngram, "--json", "b.json")
    assert bare.code == 0, bare.err
    plain = json.loads(Path("b.json").read_text())
    for system in ("first_pass", "retuned", "rescored", "oracle"):
        assert plain[system]["wer"] == result[system]["wer"], system
    before = {some.id: {hypothesis.text for hypothesis in some.hypotheses} for some in toy.utterances("test")}
    out = list(read_nbest("out.jsonl"))
    written = 0
    for some in out:
        new = [hypothesis for hypothesis in some.hypotheses if hypothesis.text not in before[some.id]]
        assert all(hypothesis.corrected and "acoustic" not in hypothesis.scores for hypothesis in new)
        assert before[some.id] == {hypothesis.text for hypothesis in some.hypotheses if not hypothesis.corrected}
        written += bool(new)
    assert written == correction["written"]
    pictures = sorted(Path("pictures").iterdir())
    assert len(pictures) == min(
        12, sum(a.hypotheses[0].text != b.hypotheses[0].text for a, b in zip(toy.utterances("test"), out, strict=True))
    )
    assert all(path.read_text().startswith("<?xml") for path in pictures)
    again = command(
        *("rescore", "--nbest", toy.test, "--weights", "weights.json", "--lm", birnn, "--lm", ngram, "--correct"),
        *("--beam", 3, "--corrections", 2, "--out", "again.jsonl"),
    )
    assert again.code == 0, again.err
    assert Path("again.jsonl").read_bytes() == Path("out.jsonl").read_bytes()
    refused = command("rescore", "--nbest", toy.test, "--weights", "weights.json", "--lm", birnn, "--lm", ngram)
    assert "tuned with --correct" in refused.complaint


def test_corrections_stand_beside_the_other_systems(toy: Toy, birnn: Path, ngram: Path, command: Command) -> None:
    given = ("compare", "--dev", toy.dev, "--test", toy.test, "--lm", f"net={birnn}", "--lm", ngram, "--force")
    asked = ("--correct", "--beam", 3, "--corrections", 2)
    finished = command(*given, *asked, "--json", "c.json", "--save-weights", "weights")
    assert finished.code == 0, finished.err
    assert "rescored and corrected" in finished.out
    assert command(*given, "--json", "plain.json").code == 0
    found, plain = (json.loads(Path(name).read_text()) for name in ("c.json", "plain.json"))
    for name in ("first_pass", "retuned", "oracle", "compositional_oracle"):
        assert found[name]["wer"] == plain[name]["wer"], name
    for name in ("net", "ngram", "net + ngram"):
        assert found["systems"][name]["wer"] == plain["systems"][name]["wer"], name
    assert len(found["corrected"]["interval"]) == 2
    assert "p_value" in found["corrected"]["difference"]
    assert found["corrected"]["wer"] == pytest.approx(correct_by_rescore(toy, birnn, ngram, command, *asked))
    assert found["correction"]["taken"] <= found["correction"]["written"]
    assert "corrected.json" in {path.name for path in Path("weights").iterdir()}


def correct_by_rescore(toy: Toy, birnn: Path, ngram: Path, command: Command, *asked: object) -> float:
    """The error rate of ``rescore --correct`` with the weights that ``compare`` saved."""
    models = ("--lm", f"net={birnn}", "--lm", ngram, "--weights", "weights/corrected.json")
    assert command("rescore", "--nbest", toy.test, *models, *asked, "--out", "o.jsonl", "--json", "o.json").code == 0
    return float(json.loads(Path("o.json").read_text())["corrected"]["wer"])


def test_comparing_without_a_model_that_writes_is_refused(toy: Toy, ngram: Path, command: Command) -> None:
    refused = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", ngram, "--correct")
    assert refused.code == 2
    assert "no model can correct" in refused.complaint
    wrong = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", ngram, "--correct", "--beam", 0)
    assert wrong.code == 2
    assert "--beam" in wrong.complaint


@pytest.fixture(scope="session")
def emissions(toy: Toy) -> Path:
    """Emissions of both lists, of letters drawn at random."""
    folder = toy.folder / "emissions"
    letters = sorted({letter for text in toy.sentences for letter in text} - {" "})
    folder.mkdir()
    Tokens(("-", "|", *letters)).write(folder)
    generator = torch.Generator().manual_seed(1)
    names = [some.id for name in ("dev", "test") for some in toy.utterances(name)]
    said = {name: torch.randn(150, len(letters) + 2, generator=generator).log_softmax(-1).half() for name in names}
    save_file(said, folder / "0.safetensors")
    return folder


def test_what_is_written_is_scored_from_emissions(toy: Toy, birnn: Path, emissions: Path, command: Command) -> None:
    lists = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", birnn, "--emissions", emissions)
    finished = command(*lists, "--correct", "--beam", 3, "--corrections", 2, "--out", "out.jsonl", "--force")
    assert finished.code == 0, finished.err
    out = list(read_nbest("out.jsonl"))
    assert any(hypothesis.corrected for some in out for hypothesis in some.hypotheses)
    (found,) = Acoustics([emissions]).scored(out[:1])
    assert found == out[0]
    lowest = [min(each.scores["acoustic"] for each in some.hypotheses) for some in out]
    assert max(lowest) < -150, "emissions say nothing of these texts, and the list's own scores say much"
    compared = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", birnn, "--emissions", emissions)
    assert compared.code == 0, compared.err


def test_emissions_that_do_not_fit_are_refused(toy: Toy, birnn: Path, emissions: Path, command: Command) -> None:
    lists = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", birnn)
    some = Path("some.safetensors")
    save_file({"dev0": load_file(emissions / "0.safetensors")["dev0"]}, some)
    given = ("--emissions", some, "--tokens", emissions / "tokens.txt")
    complaint = command(*lists, *given).complaint
    assert "no emissions of it" in complaint
    assert "dev1" in complaint
    assert "--first-pass-lm" in command(*lists, "--first-pass-lm", toy.train).complaint
    assert "--tokens" in command(*lists, "--tokens", emissions / "tokens.txt").complaint
    assert "no such file" in command(*lists, "--emissions", "nowhere").complaint
    lattice = ("rescore", "--lattice", toy.test, "--weights", "w.json", "--lm", birnn, "--emissions", emissions)
    assert "--emissions: is for n-best lists" in command(*lattice).complaint
    assert not Path("test.rescored.json").exists()


def test_named_utterances_are_drawn(toy: Toy, birnn: Path, command: Command) -> None:
    arguments = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", birnn, "--plot-attention", "pictures")
    finished = command(*arguments, "--plot-utterances", "test3", "test7", "--plot-format", "png")
    assert finished.code == 0, finished.err
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["test3.png", "test7.png"]
    assert Path("pictures/test3.png").read_bytes().startswith(b"\x89PNG")
    shutil.rmtree("pictures")
    missing = command(*arguments, "--plot-utterances", "nobody", "--out", "missing.json")
    assert missing.code == 2
    assert "--plot-utterances" in missing.err
    assert not Path("missing.json").exists()


def test_what_cannot_be_corrected_is_refused(toy: Toy, ngram: Path, birnn: Path, command: Command) -> None:
    lists = ("rescore", "--nbest", toy.test)
    assert "needs weights" in command(*lists, "--lm", birnn, "--correct").complaint
    assert "no model can correct" in command(*lists, "--dev", toy.dev, "--lm", ngram, "--correct").complaint
    assert "--beam" in command(*lists, "--dev", toy.dev, "--lm", birnn, "--correct", "--beam", 0).complaint
    assert "--plot-attention" in command(*lists, "--lm", birnn, "--plot-utterances", "test1").complaint


def test_its_score_is_a_feature_and_no_perplexity(toy: Toy, birnn: Path, ngram: Path, command: Command) -> None:
    finished = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", f"heard={birnn}", "--lm", ngram)
    assert finished.code == 0, finished.err
    assert "heard" in finished.out
    assert "given what the recogniser heard" in command("perplexity", "--lm", birnn, "--text", toy.valid).complaint


def test_training_is_refused_before_anything_is_written(toy: Toy, birnn: Path, command: Command) -> None:
    lists = ("--nbest", toy.dev, "--valid-nbest", toy.test)
    train = ("train", "birnn-attention")
    assert "holds a trained model already" in command(*train, *lists, "--out", birnn).complaint
    assert "at least 2 parts" in command(*train, *lists, "--out", "x", "--jackknife", 1).complaint
    assert "no such file" in command(*train, "--nbest", toy.dev, "--valid-nbest", "none.json", "--out", "x").complaint
    assert "maxout" in command(*train, *lists, "--out", "x", "--maxout", 3).complaint
    for family in (("birnn-attention",), ("birnn-attention", "--objective", "mwer", "--init-from", birnn)):
        for options, complaint in (
            (("--context", "stream"), "--context: lists are no stream"),
            (("--input-noise", 0.1), "--input-noise: is for a training on text"),
            (("--short-windows", 0.5), "--short-windows: is for a training on text"),
        ):
            assert complaint in command("train", *family, *lists, "--out", "x", *options).complaint
    assert not Path("x").exists()
