"""``train --init-from`` and ``--preset``: what they set, and what goes before them."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from toy_language import Command, Toy, config

from asr_lm.errors import InputError
from asr_lm.lm.families.registry import FAMILIES, find_preset
from asr_lm.lm.loading import load_model
from asr_lm.lm.training.options import TextOptions, TrainingOptions
from asr_lm.text.sentence_hashes import SentenceHashes

SHORT = ("--epochs", 1, "--batch-tokens", 512, "--validations", 2)


class TestInitFrom:
    @pytest.fixture
    def arguments(self, toy: Toy, lstm: Path) -> tuple[object, ...]:
        Path("more.txt").write_text("".join(toy.train.read_text().splitlines(keepends=True)[:50]))
        return ("train", "lstm", "--text", "more.txt", "--valid", toy.valid, "--init-from", lstm, "--out", "m", *SHORT)

    def test_weights_vocabulary_sizes_and_normaliser_are_those_of_the_folder(
        self, command: Command, arguments: tuple[object, ...], lstm: Path
    ) -> None:
        assert command(*arguments, "--learning-rate", 1e-12).code == 0
        tuned, trained = load_model("m"), load_model(lstm)
        assert config("m")["network"] == config(lstm)["network"]
        assert (Path("m/words.txt").read_bytes(), tuned.normalizer) == (
            Path(lstm, "words.txt").read_bytes(),
            trained.normalizer,
        )
        sentences = trained.vocabulary.encode_batch(["the cat sees the boat", "a dog", ""])
        assert tuned.score_tokens(sentences) == pytest.approx(trained.score_tokens(sentences), abs=1e-4)

    def test_it_begins_where_the_other_ended(self, command: Command, arguments: tuple[object, ...], lstm: Path) -> None:
        assert command(*arguments).code == 0
        before = min(json.loads(line)["valid_loss"] for line in (lstm / "training.jsonl").read_text().splitlines())
        first = json.loads(Path("m/training.jsonl").read_text().splitlines()[0])["valid_loss"]
        untrained = command(*arguments[:6], *arguments[8:-7], "x", *SHORT, "--vocabulary", "words", "--embedding", 24,
                            "--hidden", 24)  # fmt: skip
        assert untrained.code == 0, untrained.err
        fresh = json.loads(Path("x/training.jsonl").read_text().splitlines()[0])["valid_loss"]
        assert abs(first - before) < 0.3 < fresh - first

    def test_the_new_model_has_seen_both_texts(self, command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
        Path("more.txt").write_text("the moon likes the moon\n")
        assert command(*arguments).code == 0
        seen = SentenceHashes.load("m/sentences.hashes")
        assert seen.contains(["the moon likes the moon", *toy.train.read_text().splitlines()]).all()

    def test_dropout_may_be_another(self, command: Command, arguments: tuple[object, ...]) -> None:
        assert command(*arguments, "--dropout", 0.4).code == 0
        assert config("m")["network"]["dropout"] == 0.4

    def test_a_full_output_may_go_on_where_a_sampled_one_ended(
        self, command: Command, arguments: tuple[object, ...], lstm: Path
    ) -> None:
        assert command(*arguments, "--output", "nce", "--noise-samples", 20, "--learning-rate", 1e-12).code == 0
        assert config("m")["network"]["output"] == "nce"
        again = ["m" if argument == lstm else argument for argument in arguments]
        again[again.index("--out") + 1] = "again"
        assert "output is 'nce' there, not 'adaptive'" in command(*again, "--output", "adaptive", "--no-tied").complaint
        assert command(*again, "--output", "full", "--learning-rate", 1e-12).code == 0
        first, *others = (load_model(name) for name in (lstm, "m", "again"))
        sentences = first.vocabulary.encode_batch(["the cat sees the boat", "a dog", ""])
        for other in others:
            assert other.score_tokens(sentences) == pytest.approx(first.score_tokens(sentences), abs=1e-4)

    @pytest.mark.parametrize("family", ["nnlm", "rnnlm", "bilstm", "gpt1"])
    def test_every_family_goes_on(self, command: Command, toy: Toy, family: str) -> None:
        texts = ("train", family, "--text", toy.train, "--valid", toy.valid, *SHORT)
        sizes = {"gpt1": ("--width", 16, "--heads", 2, "--layers", 1), "rnnlm": ("--hidden", 16)}
        first = (*texts, "--out", "first", *sizes.get(family, ("--embedding", 16, "--hidden", 16)))
        assert command(*first, "--vocabulary", "words").code == 0
        finished = command(*texts, "--out", "second", "--init-from", "first", "--learning-rate", 1e-12)
        assert finished.code == 0, finished.err
        one, other = load_model("first"), load_model("second")
        sentences = one.vocabulary.encode_batch(["the cat sees the boat", "a dog"])
        assert other.score_tokens(sentences) == pytest.approx(one.score_tokens(sentences), abs=1e-4)

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (("--hidden", 32, "--embedding", 32), "embedding is 24 there, not 32, hidden is 24 there, not 32"),
            (("--layers", 2), "layers is 1 there, not 2"),
            (("--vocabulary", "bpe"), "vocabulary is 'words' there, not 'sentencepiece'"),
            (("--vocabulary-size", 30), r"vocabulary_size is \d+ there, not 30"),
            (("--normalizer", "as-is"), "normalizer is 'librispeech' there, not 'as-is'"),
            (("--min-count", 2), "min_count is 1 there, not 2"),
        ],
    )
    def test_what_differs_is_told(
        self, command: Command, arguments: tuple[object, ...], more: tuple[object, ...], said: str
    ) -> None:
        complaint = command(*arguments, *more).complaint
        assert re.search(said, complaint), complaint
        assert "keeps the sizes and the vocabulary" in complaint

    def test_a_text_of_other_words_does_not_fit(self, command: Command, arguments: tuple[object, ...]) -> None:
        Path("more.txt").write_text("colourless green ideas sleep the cat\n" * 9)
        finished = command(*arguments)
        assert finished.code == 2
        assert re.search(r"66.7 % of the text's words are unknown .*\(as 'colourless', 'green'", finished.err)

    def test_another_family_has_other_weights(self, command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
        texts = ("--text", toy.train, "--valid", toy.valid, "--out", "m")
        complaint = command("train", "lstm", *texts, "--init-from", ngram).complaint
        assert "a model of family 'ngram' has no weights to start from" in complaint
        complaint = command("train", "gpt1", *texts, "--init-from", lstm).complaint
        assert "holds a model of family 'lstm', not 'gpt1'" in complaint
        assert "not a trained model" in command("train", "lstm", *texts, "--init-from", "nowhere").complaint

    def test_an_unfinished_run_from_other_weights_is_not_taken_up(
        self, command: Command, arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*given: object, **options: object) -> None:
            raise InputError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr("asr_lm.lm.neural.write_config", full)
            assert command(*arguments).code == 2
        without = [argument for argument in arguments if argument != "--init-from"]
        without.remove(arguments[7])
        sizes = ("--vocabulary", "words", "--embedding", 24, "--hidden", 24)
        assert "another initial weights" in command(*without, *sizes).err


class TestPresets:
    @pytest.mark.parametrize(
        ("family", "name"), [(family, name) for family in FAMILIES for name in FAMILIES[family].presets]
    )
    def test_every_one_makes_sizes_and_options(self, family: str, name: str) -> None:
        preset = find_preset(family, name)
        FAMILIES[family].sizes(vocabulary_size=100, **preset.network)
        TrainingOptions(**preset.training)
        assert set(preset.text) <= {field.name for field in fields(TextOptions)}

    def test_one_sets_sizes_training_and_text_and_what_is_given_goes_before_it(
        self, command: Command, toy: Toy
    ) -> None:
        arguments = ("train", "lstm", "--text", toy.train, "--valid", toy.valid, "--preset", "zaremba-small")
        small = ("--embedding", 16, "--hidden", 16, "--epochs", 2, "--learning-rate", 5, "--out", "m")
        finished = command(*arguments, *small)
        assert finished.code == 0, finished.err
        kept = config("m")
        assert kept["network"] | {"layers": 2, "hidden": 16, "embedding": 16, "tied": False} == kept["network"]
        options = kept["training"]["options"]
        expected = {"optimizer": "sgd", "schedule": "step", "decay_after": 4.0, "context": "stream", "bptt": 20}
        assert options | expected == options
        assert (options["epochs"], options["learning_rate"], options["clip"]) == (2.0, 5.0, 0.25)
        assert (kept["normalizer"], kept["vocabulary"]["kind"]) == ("as-is", "words")

    def test_the_published_rate_and_norm_are_converted_to_a_mean_over_tokens(self) -> None:
        """The paper sums over the steps and averages over the rows."""
        for name, steps in (("zaremba-small", 20), ("zaremba-medium", 35)):
            training = find_preset("lstm", name).training
            assert training["batch_tokens"] / training["bptt"] == 20
            # A step of the paper: gradient g, clipped at 5, times 1; ours is of g / steps.
            for g in (0.1, 4.0, 60.0):
                ours = min(g / steps, training["clip"]) * training["learning_rate"]
                assert ours == pytest.approx(min(g, 5.0))

    def test_an_unknown_one(self, command: Command, toy: Toy) -> None:
        arguments = ("--text", toy.train, "--valid", toy.valid, "--out", "m", "--preset", "zaremba")
        complaint = command("train", "lstm", *arguments).complaint
        assert "no preset of lstm is called 'zaremba'; there are zaremba-small, zaremba-medium" in complaint
        with pytest.raises(InputError, match="it has none"):
            find_preset("birnn-attention", "zaremba")

    @pytest.mark.parametrize("family", [name for name in FAMILIES if FAMILIES[name].learns_from == "text"])
    def test_every_family_that_learns_from_text_has_one_for_a_laptop(
        self, command: Command, toy: Toy, family: str
    ) -> None:
        arguments = ("--text", toy.train, "--valid", toy.valid, "--out", "m", "--preset", "laptop", "--epochs", 0.5)
        finished = command("train", family, *arguments)
        assert finished.code == 0, finished.err
        assert config("m")["vocabulary"]["kind"] == "words"

    def test_the_help_of_a_family_lists_its_own(self, command: Command) -> None:
        shown = command("train", "lstm", "--help").out
        for name in FAMILIES["lstm"].presets:
            assert f"  {name}: " in shown
        assert "zaremba" not in command("train", "gpt1", "--help").out
        medium = command("train", "lstm", "--preset", "zaremba-medium", "--help").out
        assert re.search(r"--hidden INT[^-]*\(default: 650\)", medium)

    def test_help_is_quick(self) -> None:
        """No torch, whatever is asked for."""
        code = "import sys; sys.argv[1:] = ['lstm', '--help']; from pipelines import train\n"
        code += "try: train.main()\nexcept SystemExit: print('torch' in sys.modules, file=sys.stderr)"
        begin = self.seconds_of_children()
        finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert finished.stderr.strip() == "False"
        assert "--preset" in finished.stdout
        assert self.seconds_of_children() - begin < 1.0

    @staticmethod
    def seconds_of_children() -> float:
        """Processor time, which a busy machine does not stretch as it does the clock's."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
