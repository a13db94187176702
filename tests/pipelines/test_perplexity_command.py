"""``perplexity``: models side by side on a text."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from toy_language import Command, Toy

from asr_lm.evaluation.perplexity import measure
from asr_lm.lm.loading import load_model


def test_the_table_and_the_json_say_what_was_measured(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    finished = command("perplexity", "--lm", ngram, "--lm", lstm, "--text", toy.valid, "--json", "p.json")
    assert finished.code == 0, finished.err
    records = json.loads(Path("p.json").read_text())
    measured = measure([load_model(ngram), load_model(lstm)], toy.valid.read_text().splitlines())
    assert [record.pop("lm") for record in records] == [str(ngram), str(lstm)]
    for record, result in zip(records, measured, strict=True):
        expected = {**result.to_json(), "training_overlap": 0.0}
        assert record == {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()}
        assert f"{record['per_word']:.2f}" in finished.out
    assert "30 sentences" in finished.out


def test_models_of_different_vocabularies_are_compared_over_the_same_words(
    command: Command, toy: Toy, ngram: Path
) -> None:
    Path("text.txt").write_text("the cat sees the zebra\na dog likes some bread today\n")
    finished = command("perplexity", "--lm", ngram, "--lm", "default", "--text", "text.txt", "--json", "p.json")
    assert finished.code == 0, finished.err
    words, general = json.loads(Path("p.json").read_text())
    assert (words["unknown_words"], general["unknown_words"]) == (1, 0)
    assert words["words"] == general["words"] == 13
    assert words["compared_share"] == general["compared_share"] == pytest.approx(100 * 12 / 13)


def test_words_come_first_and_rows_are_told_apart(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    """The table names models as ``compare`` does, and says whether the perplexities of a word compare."""
    finished = command("perplexity", "--lm", ngram, "--lm", lstm, "--lm", "default", "--text", toy.valid)
    heading = next(line for line in finished.out.splitlines() if "family" in line)
    assert heading.index("ppl/word ") < heading.index("ppl/word compared") < heading.index("ppl/token")
    rows = [line.split("│")[1].strip() for line in finished.out.splitlines() if line.startswith("│")]
    assert rows == ["ngram", "lstm", "default"]
    assert "all of them known to every model" in " ".join(finished.out.split())
    Path("text.txt").write_text("the cat sees the zebra\na dog likes some bread today\n")
    finished = command("perplexity", "--lm", ngram, "--lm", "default", "--text", "text.txt")
    assert "does not compare between models that know different words: 7.69 %" in " ".join(finished.out.split())


def test_trainings_are_drawn_in_one_picture(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    models = ("--lm", ngram, "--lm", f"net={lstm}", "--lm", f"again={lstm}")
    finished = command("perplexity", *models, "--text", toy.valid, "--plots", "plots")
    assert finished.code == 0, finished.err
    assert "2 pictures of trainings written to plots" in finished.err
    picture = Path("plots/training.svg").read_text()
    assert ">net<" in picture
    assert ">again<" in picture
    assert Path("plots/training.png").exists()
    finished = command("perplexity", "--lm", ngram, "--text", toy.valid, "--plots", "none")
    assert "no model has a training to draw" in finished.err


def test_folders_of_one_name_are_told_by_their_paths(command: Command, toy: Toy, ngram: Path) -> None:
    Path("other").mkdir()
    shutil.copytree(ngram, "other/ngram")
    finished = command("perplexity", "--lm", "other/ngram", "--lm", ngram, "--text", toy.valid)
    assert finished.code == 0, finished.err
    assert "other/ngram" in finished.out


def test_sentences_of_the_training_text_are_told(command: Command, toy: Toy, ngram: Path) -> None:
    known = toy.train.read_text().splitlines()[:3]
    Path("text.txt").write_text("\n".join([*known, "", "the boat sees a boat that the cat likes to see"]))
    finished = command("perplexity", "--lm", f"mine={ngram}", "--text", "text.txt", "--json", "p.json")
    assert finished.code == 0, finished.err
    assert "75.0 % of the sentences are in the training text of mine, so its figure may be too low" in finished.err
    assert json.loads(Path("p.json").read_text())[0]["training_overlap"] == 75.0
    assert "training text" not in command("perplexity", "--lm", ngram, "--text", toy.valid).err
    both = ("--lm", f"mine={ngram}", "--lm", "mine=default", "--text", "text.txt", "--json", "p.json")
    assert command("perplexity", *both).code == 0
    first, second = (record.get("training_overlap") for record in json.loads(Path("p.json").read_text()))
    assert first == 75.0
    assert second != 75.0


def test_models_can_be_named(command: Command, toy: Toy, ngram: Path) -> None:
    arguments = ("--lm", f"mine={ngram}", "--lm", "general=default", "--text", toy.valid, "--json", "p.json")
    finished = command("perplexity", *arguments)
    assert finished.code == 0, finished.err
    assert [record["lm"] for record in json.loads(Path("p.json").read_text())] == ["mine", "general"]
    assert "mine" in finished.out
    assert str(ngram) not in finished.out


def test_texts_from_several_places(command: Command, toy: Toy, ngram: Path) -> None:
    lines = toy.valid.read_bytes().splitlines(keepends=True)
    Path("one.txt.gz").write_bytes(gzip.compress(b"".join(lines[:10])))
    Path("two.txt").write_bytes(b"".join(lines[10:20]))
    texts = ("--text", "one.txt.gz", "two.txt", "-")
    command("perplexity", "--lm", ngram, *texts, "--json", "parts", stdin=b"".join(lines[20:]))
    command("perplexity", "--lm", ngram, "--text", toy.valid, "--json", "whole")
    assert Path("parts").read_bytes() == Path("whole").read_bytes()


def test_state_can_be_carried(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    for context in ("sentence", "stream"):
        arguments = ("--lm", lstm, "--text", toy.valid, "--context", context, "--json", context)
        assert command("perplexity", *arguments).code == 0
    fresh, carried = (json.loads(Path(name).read_text())[0] for name in ("sentence", "stream"))
    assert fresh["tokens"] == carried["tokens"]
    assert fresh["per_token"] != carried["per_token"]
    finished = command("perplexity", "--lm", ngram, "--text", toy.valid, "--context", "stream")
    assert "has no state to carry" in finished.complaint
    both = ("--lm", lstm, "--lm", ngram, "--text", toy.valid, "--context", "stream", "--json", "both")
    assert "family 'ngram' has no state to carry: it reads sentence by sentence" in command("perplexity", *both).err
    command("perplexity", "--lm", ngram, "--text", toy.valid, "--json", "alone")
    together = json.loads(Path("both").read_text())
    assert [row["per_token"] for row in together] == [
        carried["per_token"],
        json.loads(Path("alone").read_text())[0]["per_token"],
    ]


def test_a_model_can_learn_from_what_it_reads(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    before = (lstm / "model.safetensors").read_bytes()
    for name, how in (("static", ()), ("dynamic", ("--dynamic", "0.05"))):
        arguments = ("--lm", lstm, "--text", toy.valid, "--context", "stream", *how, "--json", name)
        finished = command("perplexity", *arguments)
        assert finished.code == 0, finished.err
    static, dynamic = (json.loads(Path(name).read_text())[0] for name in ("static", "dynamic"))
    learnt = dynamic.pop("dynamic")
    assert dynamic == static
    assert learnt["learning_rate"] == 0.05
    assert learnt["tokens"] == static["tokens"]
    assert learnt["per_token"] != static["per_token"]
    assert "dynamic ppl/word" in " ".join(finished.out.split())
    assert "dynamic evaluation, learning rate 0.05" in finished.out
    assert (lstm / "model.safetensors").read_bytes() == before
    finished = command("perplexity", "--lm", ngram, "--text", toy.valid, "--dynamic", "0.05")
    assert "--dynamic: a model of family 'ngram' cannot learn from what it reads" in finished.complaint
    finished = command("perplexity", "--lm", ngram, *arguments[:-2], "--json", "beside")
    beside = json.loads(Path("beside").read_text())
    assert ["dynamic" in row for row in beside] == [False, True]
    assert beside[1]["dynamic"] == learnt
    finished = command("perplexity", "--lm", lstm, "--text", toy.valid, "--dynamic", "0")
    assert "--dynamic: expected a learning rate above 0, not 0.0" in finished.complaint


def test_steps_can_be_scaled_by_the_training_text(command: Command, toy: Toy, lstm: Path) -> None:
    given = ("perplexity", "--lm", lstm, "--text", toy.valid)
    scaled = ("--dynamic", "0.001", "--dynamic-text", toy.valid, "--dynamic-decay", "0.02")
    finished = command(*given, *scaled, "--json", "scaled")
    assert finished.code == 0, finished.err
    found = json.loads(Path("scaled").read_text())[0]
    assert (found["dynamic"]["decay"], found["dynamic"]["scaled"]) == (0.02, True)
    assert found["dynamic"]["per_word"] != found["per_word"]
    for wrong, told in {
        ("--dynamic-text", toy.valid): "--dynamic: expected with the text or the decay",
        ("--dynamic", "0.1", "--dynamic-decay", "0.1"): "--dynamic-text: expected a training text, which scales it",
        ("--dynamic", "0.1", "--dynamic-text", toy.valid, "--dynamic-decay", "2"): "--dynamic-decay: expected 0 to 1",
    }.items():
        assert told in command(*given, *wrong).complaint


def test_lines_that_a_normaliser_thins_are_told(command: Command, toy: Toy, ngram: Path) -> None:
    Path("mixed.txt").write_text(toy.valid.read_text() + "привет мир\n")
    finished = command("perplexity", "--lm", ngram, "--text", "mixed.txt")
    assert finished.code == 0
    assert "lines, such as 'привет мир'; 'unicode' keeps them" in finished.err
    Path("ru.txt").write_text("привет мир\n")
    assert command("perplexity", "--lm", ngram, "--text", "ru.txt").complaint.startswith("error: ru.txt")


def test_the_normaliser_of_a_bare_file_can_be_chosen(command: Command, toy: Toy, ngram: Path) -> None:
    Path("capitals.txt").write_text(toy.valid.read_text().upper())
    bare = ngram / "model.arpa"
    models = ("--lm", f"a={bare}", "--lm", f"b={bare}?normalizer=lower", "--lm", f"c={ngram}")
    command("perplexity", *models, "--text", "capitals.txt", "--json", "p")
    raw, chosen, folder = json.loads(Path("p").read_text())
    assert [record["lm"] for record in (raw, chosen, folder)] == ["a", "b", "c"]
    assert raw["oov_rate"] == 100.0
    assert chosen["oov_rate"] == folder["oov_rate"]
    assert chosen["log_prob"] == folder["log_prob"]
    mixed = command("train", "mixture", *models[2:], "--valid", toy.valid, "--out", "m")
    assert "--lm: the members of a mixture keep their normalisers" in mixed.complaint


def test_a_text_without_sentences_is_named(command: Command, ngram: Path) -> None:
    Path("blank.txt").write_text("\n \n")
    finished = command("perplexity", "--lm", ngram, "--text", "blank.txt")
    assert finished.complaint.startswith("error: blank.txt: no sentence in the text")
