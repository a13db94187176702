"""``train``: text in, model folders out, whatever comes between."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from toy_language import Command, Toy, call, started

from asr_lm.lm.loading import load_model
from asr_lm.text.sentence_hashes import SentenceHashes

SIZES = ("--vocabulary", "words", "--embedding", 12, "--hidden", 12, "--dropout", 0.2)
LONG = (*SIZES, "--epochs", 15, "--batch-tokens", 128, "--patience", 0)
"""Three hundred steps, validated and kept twenty times."""

WAIT = 120.0
"""Seconds until a process that should have written something is given up."""


def curve(folder: Path) -> list[dict[str, object]]:
    points = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    return [{name: value for name, value in point.items() if name != "seconds"} for point in points]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + WAIT
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.005)


class TestNgram:
    """Estimated models."""

    def test_a_folder_that_can_be_used(self, command: Command, toy: Toy) -> None:
        finished = command("train", "ngram", "--text", toy.train, "--out", "m", "--order", 3, "--valid", toy.valid)
        assert finished.code == 0, finished.err
        assert re.search(r"^m: \d+, \d+, \d+ n-grams of order 1 to 3", finished.err)
        names = {name.removeprefix("m/") for name in finished.written} - {"m", "model.bin"}
        assert names == {"config.json", "model.arpa", "words.txt", "sentences.hashes"}
        model = load_model("m")
        assert model.family == "ngram"
        assert model.normalizer == "librispeech"
        command("perplexity", "--lm", "m", "--text", toy.valid, "--json", "p.json")
        (record,) = json.loads(Path("p.json").read_text())
        figures = f"perplexity a word {record['per_word']:,.2f}, a token {record['per_token']:,.2f}"
        assert f"validation {figures}, unknown words 0.00 %" in finished.err

    def test_several_texts_are_one(self, command: Command, toy: Toy) -> None:
        lines = toy.train.read_text().splitlines(keepends=True)
        Path("one.txt").write_text("".join(lines[:100]))
        Path("two.txt").write_text("".join(lines[100:]))
        assert command("train", "ngram", "--text", "one.txt", "two.txt", "--out", "parts", "--order", 2).code == 0
        assert command("train", "ngram", "--text", toy.train, "--out", "whole", "--order", 2).code == 0
        assert Path("parts/model.arpa").read_bytes() == Path("whole/model.arpa").read_bytes()

    def test_options_reach_the_model(self, command: Command, toy: Toy) -> None:
        pieces = ("--vocabulary", "bpe", "--vocabulary-size", 330, "--normalizer", "as-is", "--prune", 0, 0, 1)
        assert command("train", "ngram", "--text", toy.train, "--out", "m", "--order", 3, *pieces).code == 0
        model = load_model("m")
        assert (model.vocabulary.kind, model.vocabulary.size, model.normalizer) == ("sentencepiece", 330, "as-is")
        config = json.loads(Path("m/config.json").read_text())
        assert (config["order"], config["prune"]) == (3, [0, 0, 1])
        assert command("train", "ngram", "--text", toy.train, "--out", "w", "--min-count", 3).code == 0
        assert load_model("w").vocabulary.size < load_model("m").vocabulary.size

    def test_a_folder_in_use_is_left_alone(self, command: Command, toy: Toy, ngram: Path) -> None:
        before = (ngram / "model.arpa").read_bytes()
        finished = command("train", "ngram", "--text", toy.valid, "--out", ngram)
        assert "holds a trained model already, with another --order, --text; choose" in finished.complaint
        assert (ngram / "model.arpa").read_bytes() == before


class TestVocabulary:
    """What text is cut into."""

    def test_a_small_text_gets_few_pieces_and_a_model_that_has_learnt(self, command: Command, toy: Toy) -> None:
        sizes = ("--embedding", 16, "--hidden", 16, "--epochs", 3, "--batch-tokens", 256)
        finished = command("train", "lstm", "--text", toy.train, "--valid", toy.valid, "--out", "m", *sizes)
        assert finished.code == 0, finished.err
        assert re.search(r"  \d{3} pieces instead of 4,000, as the text is small", finished.err)
        assert "has learnt nothing" not in finished.err

    def test_a_sentencepiece_model_of_the_users_own(self, command: Command, toy: Toy) -> None:
        first = ("train", "ngram", "--text", toy.train, "--order", 2, "--vocabulary")
        assert command(*first, "bpe", "--out", "m").code == 0
        assert command(*first, "m/tokens.model", "--out", "n").code == 0
        assert load_model("n").vocabulary.fingerprint() == load_model("m").vocabulary.fingerprint()
        wrong = command(*first, "pieces", "--out", "o")
        assert "--vocabulary: expected words, bpe, unigram, or the file of a SentencePiece model" in wrong.complaint


class TestScripts:
    """Text that the normaliser was not made for."""

    @pytest.mark.parametrize("model", ["ngram", "lstm"])
    def test_a_text_of_which_most_would_be_lost_is_refused(self, command: Command, toy: Toy, model: str) -> None:
        Path("ru.txt").write_text("привет мир\n" * 20 + "hello\n")
        finished = command("train", model, "--text", "ru.txt", "--valid", toy.valid, "--out", "m")
        assert finished.code == 2
        assert finished.complaint.startswith("error: ru.txt")
        assert "'unicode' keeps them" in finished.complaint
        assert not Path("m").exists()

    def test_lines_that_are_thinned_are_told(self, command: Command, toy: Toy) -> None:
        Path("mixed.txt").write_text(toy.train.read_text() + "我 用 python\n" * 5)
        finished = command("train", "ngram", "--text", "mixed.txt", "--out", "m", "--order", 2)
        assert finished.code == 0
        assert re.search(r"warning: mixed.txt: .* in 5 of .* such as '我 用 python'; 'chinese' keeps", finished.err)
        again = command("train", "ngram", "--text", "mixed.txt", "--out", "n", "--order", 2, "--normalizer", "chinese")
        assert "loses" not in again.err


class TestDoneAlready:
    """The same command again."""

    def test_it_changes_nothing_and_all_is_well(self, command: Command, toy: Toy) -> None:
        arguments = ("train", "ngram", "--text", toy.train, "--out", "m", "--order", 2)
        assert command(*arguments).code == 0
        before = {path: path.stat().st_mtime_ns for path in Path("m").iterdir()}
        Path("m/corpus").mkdir()
        Path("m/checkpoint.safetensors").touch()
        finished = command(*arguments, "--valid", toy.valid)
        assert "m: holds a trained model already, with another --valid" in finished.complaint
        finished = command(*arguments)
        assert (finished.code, finished.err) == (0, "m: done already, by the same command\n")
        assert {path: path.stat().st_mtime_ns for path in Path("m").iterdir()} == before

    def test_another_text_of_the_same_name_is_another_text(self, command: Command, toy: Toy) -> None:
        Path("t.txt").write_text(toy.train.read_text())
        arguments = ("train", "ngram", "--text", "t.txt", "--out", "m", "--order", 2)
        assert command(*arguments).code == 0
        assert command("train", "ngram", "--text", toy.train, "--out", "m", "--order", 2).code == 0
        Path("t.txt").write_text(toy.valid.read_text())
        assert "with another --text" in command(*arguments).complaint

    def test_of_a_model_of_which_nobody_knows(self, command: Command, toy: Toy) -> None:
        arguments = ("train", "ngram", "--text", toy.train, "--out", "m", "--order", 2)
        assert command(*arguments).code == 0
        config = json.loads(Path("m/config.json").read_text())
        del config["training"]["asked"]
        Path("m/config.json").write_text(json.dumps(config))
        assert "holds a trained model already; choose another folder" in command(*arguments).complaint
        assert "m: trained before" in command(*arguments, "--jackknife", 2).err

    def test_of_a_network_and_of_a_mixture(self, command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
        text = ("--text", toy.train, "--valid", toy.valid, "--out", "m", *SIZES)
        assert command("train", "lstm", *text, "--epochs", 1).code == 0
        picture = Path("m/training.svg").read_bytes()
        Path("m/training.svg").unlink()  # killed when the model was whole, before it was drawn
        assert "done already" in command("train", "lstm", *text, "--epochs", 1, "--device", "cpu").err
        assert Path("m/training.svg").read_bytes() == picture
        assert "with another --epochs, --seed;" in command("train", "lstm", *text, "--seed", 2).complaint
        mixture = ("train", "mixture", "--valid", toy.valid, "--out", "x", "--lm", f"a={ngram}", "--lm")
        assert command(*mixture, lstm).code == 0
        assert command(*mixture, lstm).err == "x: done already, by the same command\n"
        assert "with another --lm;" in command(*mixture, "m").complaint


class TestJackknife:
    """Fold models beside the full one."""

    def test_each_leaves_out_its_part(self, command: Command, toy: Toy) -> None:
        arguments = ("train", "ngram", "--text", toy.train, "--out", "m", "--order", 2, "--jackknife", 3)
        assert command(*arguments).code == 0
        lines = toy.train.read_text().splitlines()
        seen = [
            SentenceHashes.load(Path("m/folds", str(fold), "sentences.hashes")).contains(lines) for fold in range(3)
        ]
        assert (sum(flags.astype(int) for flags in seen) == 2).all()
        assert SentenceHashes.load("m/sentences.hashes").contains(lines).all()

    def test_no_part_is_empty(self, command: Command, toy: Toy) -> None:
        texts = ("--text", toy.train, "--out", "m")
        complaint = command("train", "ngram", *texts, "--jackknife", 5000).complaint
        assert re.search(r"--jackknife: \d+ of 5000 parts of the text would be empty", complaint)
        assert not Path("m").exists()

    def test_what_is_missing_is_trained(self, command: Command, toy: Toy) -> None:
        arguments = ("train", "ngram", "--text", toy.train, "--out", "m", "--order", 2)
        assert command(*arguments).code == 0
        full = Path("m/model.arpa").stat().st_mtime_ns
        finished = command(*arguments, "--jackknife", 2)
        assert finished.code == 0, finished.err
        assert "m: trained before, left as it is" in finished.err
        assert Path("m/model.arpa").stat().st_mtime_ns == full
        Path("m/folds/1/config.json").unlink()
        finished = command(*arguments, "--jackknife", 2)
        assert finished.written == {"m/folds/1/config.json"}
        assert "m/folds/0: trained before" in finished.err
        finished = command(*arguments, "--jackknife", 2)
        assert (finished.code, finished.err) == (0, "m: done already, by the same command\n")
        assert not finished.written
        finished = command(*arguments, "--jackknife", 3)
        assert "m/folds/0: holds a trained model already, with another --jackknife" in finished.complaint

    def test_another_family_is_not_mixed_in(self, command: Command, toy: Toy, ngram: Path) -> None:
        arguments = ("train", "lstm", "--text", toy.train, "--valid", toy.valid, "--out", ngram, "--jackknife", 2)
        assert "holds a model of family 'ngram', not 'lstm'" in command(*arguments).complaint


@pytest.fixture(scope="module")
def whole(toy: Toy) -> Path:
    """A training that nothing disturbed."""
    folder = toy.folder / "whole"
    with contextlib.chdir(toy.folder):
        arguments = ("--text", toy.train, "--valid", toy.valid, "--out", folder, *LONG)
        assert call("train", "lstm", *arguments).code == 0
    return folder


class TestLstm:
    """Trained networks."""

    def test_a_folder_that_can_be_used(self, command: Command, toy: Toy, lstm: Path) -> None:
        model = load_model(lstm)
        assert model.family == "lstm"
        points = curve(lstm)
        losses = [point["valid_loss"] for point in points]
        assert losses[-1] < losses[0]
        command("perplexity", "--lm", lstm, "--text", toy.valid, "--json", "p.json")
        (record,) = json.loads(Path("p.json").read_text())
        assert record["per_token"] < model.vocabulary.size / 2

    def test_a_word_and_a_token_are_told_as_perplexity_measures_them(self, command: Command, toy: Toy) -> None:
        """Pieces and words are different units: what is printed at the end is what ``perplexity`` finds of both."""
        arguments = ("--text", toy.train, "--valid", toy.valid, "--out", "m", *SIZES[2:], "--epochs", 1)
        finished = command("train", "lstm", *arguments, "--vocabulary", "bpe", "--vocabulary-size", 290)
        assert finished.code == 0, finished.err
        told = re.search(r"validation perplexity a word ([\d,.]+), a token ([\d,.]+) \(step", finished.err)
        assert told is not None, finished.err
        a_word, a_token = (float(figure.replace(",", "")) for figure in told.groups())
        command("perplexity", "--lm", "m", "--text", toy.valid, "--json", "p.json")
        (record,) = json.loads(Path("p.json").read_text())
        assert (a_word, a_token) == (
            pytest.approx(record["per_word"], rel=1e-3),
            pytest.approx(record["per_token"], rel=1e-3),
        )
        assert a_word > 1.2 * a_token
        best = min(curve(Path("m")), key=lambda point: point["valid_loss"])
        assert best["valid_word_perplexity"] == pytest.approx(a_word, rel=1e-3)

    def test_it_is_drawn_and_said_to_have_stopped_too_soon(self, command: Command, toy: Toy) -> None:
        arguments = ("--text", toy.train, "--valid", toy.valid, "--out", "m", *SIZES, "--batch-tokens", 128)
        finished = command("train", "lstm", *arguments, "--epochs", 1.5)
        assert finished.code == 0, finished.err
        assert "it was still learning (the last validation is the best when 1.5 epochs are over)" in finished.err
        assert "for example --epochs 3" in finished.err
        best = min(point["valid_word_perplexity"] for point in curve(Path("m")))  # type: ignore[type-var]
        assert f">{best:,.2f}<" in Path("m/training.svg").read_text()

    def test_it_lowers_the_error_rate(self, command: Command, toy: Toy, lstm: Path) -> None:
        command("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", lstm, "--json", "r.json")
        record = json.loads(Path("r.json").read_text())
        assert record["rescored"]["wer"] < record["retuned"]["wer"]

    def test_one_that_learnt_nothing_is_told(self, command: Command, toy: Toy) -> None:
        arguments = ("--text", toy.train, "--valid", toy.valid, "--out", "m", *SIZES)
        finished = command("train", "lstm", *arguments, "--learning-rate", 1e6, "--epochs", 0.1)
        assert finished.code == 0, finished.err
        assert "m has learnt nothing: guessing would do better; try a lower --learning-rate" in finished.err

    def test_half_precision_is_half_the_size(self, command: Command, toy: Toy) -> None:
        arguments = ("train", "lstm", "--text", toy.train, "--valid", toy.valid, *SIZES, "--epochs", 1)
        for name, half in (("full", ()), ("half", ("--half",))):
            assert command(*arguments, "--out", name, *half).code == 0
        full, half = (Path(name, "model.safetensors").stat().st_size for name in ("full", "half"))
        assert half < 0.6 * full

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(
        self, command: Command, toy: Toy, whole: Path, how: signal.Signals
    ) -> None:
        arguments = ("train", "lstm", "--text", toy.train, "--valid", toy.valid, "--out", "m", *LONG)
        process = started(*arguments)
        wait_for(Path("m/training.jsonl"))
        assert process.pid is not None
        os.kill(process.pid, how)
        process.join()
        assert not Path("m/config.json").exists(), "it was done before it could be stopped"
        if how != signal.SIGKILL:
            code, said = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}[how]
            assert process.exitcode == code
            assert f"{said}; nothing half written is left behind" in Path("err.txt").read_text()
            assert not list(Path("m").rglob("*.partial"))
        else:
            assert process.exitcode == -signal.SIGKILL
        assert 0 < len(curve(Path("m"))) < len(curve(whole))
        finished = command(*arguments)
        assert finished.code == 0, finished.err
        assert curve(Path("m")) == curve(whole)
        assert Path("m/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
        assert {path.name for path in Path("m").iterdir()} == {path.name for path in whole.iterdir()}

    def test_an_unfinished_run_with_other_settings_is_not_taken_up(self, command: Command, toy: Toy) -> None:
        arguments = ("train", "lstm", "--text", toy.train, "--valid", toy.valid, "--out", "m", *LONG)
        process = started(*arguments)
        wait_for(Path("m/training.jsonl"))
        process.kill()
        process.join()
        assert "unfinished training with another learning_rate" in command(*arguments, "--learning-rate", 0.5).complaint
