"""``train FAMILY --objective mwer``: from a trained model and lists to a model that makes fewer errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from toy_language import Command, Toy, changed, config, kill_at_first_checkpoint

from asr_lm.hypotheses.writing import write_nbest
from asr_lm.lm.loading import load_model
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.text.sentence_hashes import SentenceHashes

PACE = ("--epochs", 6, "--learning-rate", 0.01, "--batch-tokens", 256, "--validations", 3, "--precision", "float32")


@pytest.fixture
def arguments(toy: Toy, lstm: Path) -> tuple[object, ...]:
    return ("train", "lstm", "--objective", "mwer", "--init-from", lstm, "--nbest", toy.dev, "--out", "m", *PACE)


def test_it_prints_the_weights_and_makes_fewer_expected_errors(
    command: Command, arguments: tuple[object, ...], toy: Toy
) -> None:
    finished = command(*arguments, "--valid-nbest", toy.test)
    assert finished.code == 0, finished.err
    assert "weights tuned on the lists to train on: acoustic" in finished.err
    assert "with a choice to learn from" in finished.err
    assert "tokens/s" in finished.err
    facts = config("m")["training"]
    assert (facts["objective"], facts["best_step"] > 0) == ("mwer", True)
    assert facts["weights"]["lstm"] == facts["weight"] > 0
    assert command(*arguments, "--valid-nbest", toy.test).err.endswith("done already, by the same command\n")
    another = command(*arguments, "--valid-nbest", toy.test, "--likelihood-weight", 0.5)
    assert "another --likelihood-weight" in another.err
    assert load_model("m").family == "lstm"


def test_given_weights_and_another_model_count(
    command: Command, arguments: tuple[object, ...], toy: Toy, lstm: Path, ngram: Path
) -> None:
    lists = ("rescore", "--nbest", toy.test, "--dev", toy.dev, "--lm", lstm, "--lm", ngram, "--force")
    assert command(*lists, "--save-weights", "w.json", "--out", "x.json").code == 0
    saved = json.loads(Path("w.json").read_text())["values"]
    if saved["lstm"] <= 0:
        saved["lstm"] = 0.3
        record = json.loads(Path("w.json").read_text())
        Path("w.json").write_text(json.dumps({**record, "values": saved}))
    finished = command(*arguments, "--lm", ngram, "--weights", "w.json")
    assert finished.code == 0, finished.err
    assert "weights tuned" not in finished.err
    assert config("m")["training"]["weights"] == pytest.approx(saved)


def test_without_validation_lists_some_utterances_are_held_out(
    command: Command, arguments: tuple[object, ...], toy: Toy
) -> None:
    finished = command(*arguments, "--text", toy.train)
    assert finished.code == 0, finished.err
    lists, valid = (int(number) for number in re.findall(r"(\d+) lists,.* (\d+) to validate on", finished.err)[0])
    assert lists + valid == len(toy.utterances("dev"))
    seen = SentenceHashes.load("m/sentences.hashes")
    assert seen.contains([utterance.reference or "" for utterance in toy.utterances("dev")]).all()


def test_jackknife_models_have_not_seen_their_part(command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
    finished = command(*arguments, "--valid-nbest", toy.test, "--jackknife", 2)
    assert finished.code == 0, finished.err
    model = RescoringModel.open("m")
    references = [utterance.reference or "" for utterance in toy.utterances("dev")]
    assert model.seen is not None
    assert model.seen.contains(references).all()
    parts = [hashes.contains(references) for _, hashes in model.folds]
    assert len(parts) == 2
    assert (parts[0] != parts[1]).all()
    tuned = command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", "m", "--json", "c.json")
    assert tuned.code == 0, tuned.err
    assert "train it with --jackknife" not in tuned.err


def test_a_model_that_has_seen_the_references_is_told_of(
    command: Command, arguments: tuple[object, ...], toy: Toy
) -> None:
    assert command(*arguments, "--valid-nbest", toy.test).code == 0
    again = changed(arguments, "--init-from", "m", "--out", "again")
    assert "has no jackknife models to begin with" in command(*again, "--jackknife", 2).complaint
    finished = command(*changed(again, "--epochs", 1), "--valid-nbest", toy.test)
    assert "100.0 % of the references are in the training text of m" in finished.err


def test_a_killed_run_goes_on(command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
    line = (*changed(arguments, "--epochs", 12, "--validations", 12), "--valid-nbest", toy.test)
    kill_at_first_checkpoint(line)
    assert not Path("m/config.json").exists()
    assert command(*line).code == 0
    assert command(*changed(line, "--out", "whole")).code == 0
    assert Path("m/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


class TestRefusals:
    def test_lists(self, command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
        utterances = toy.utterances("dev")
        write_nbest("no.json", [replace(utterance, reference=None) for utterance in utterances])
        write_nbest("one.json", [replace(utterance, hypotheses=utterance.hypotheses[:1]) for utterance in utterances])
        for name, complaint in (
            ("no.json", "no reference"),
            ("one.json", "nothing to learn from"),
            ("none.json", "no such file"),
        ):
            line = changed(arguments, "--nbest", name)
            assert complaint in command(*line, "--valid-nbest", toy.test).complaint, name

    def test_models(self, command: Command, arguments: tuple[object, ...], toy: Toy, ngram: Path) -> None:
        assert "family 'lstm', not 'gru'" in command("train", "gru", *arguments[2:]).complaint
        for given, complaint in ((ngram, "family 'ngram'"), ("nowhere", "no such file")):
            line = changed(arguments, "--init-from", given)
            assert complaint in command(*line, "--valid-nbest", toy.test).complaint

    def test_a_vocabulary_that_does_not_fit(self, command: Command, arguments: tuple[object, ...], toy: Toy) -> None:
        utterances = [
            replace(
                utterance,
                reference="zz yy xx",
                hypotheses=tuple(
                    replace(one, text=f"zz{number} yy xx") for number, one in enumerate(utterance.hypotheses)
                ),
            )
            for utterance in toy.utterances("dev")
        ]
        write_nbest("strange.json", utterances)
        assert "unknown" in command(*changed(arguments, "--nbest", "strange.json")).complaint

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (("--hypotheses", 1), "--hypotheses: expected 2 or more"),
            (("--likelihood-weight", -1), "--likelihood-weight: expected 0 or more"),
            (("--likelihood-weight", 0, "--text", "a.txt"), "--text: is for the likelihood"),
            (("--jackknife", 1), "at least 2 parts"),
            (("--context", "stream"), "--context: lists are no stream"),
            (("--objective", "ouch"), "--objective"),
        ],
    )
    def test_options(
        self, command: Command, arguments: tuple[object, ...], options: tuple[object, ...], complaint: str
    ) -> None:
        assert complaint in command(*changed(arguments, *options)).complaint

    def test_a_model_of_an_earlier_release(self, command: Command, toy: Toy) -> None:
        Path("old").mkdir()
        Path("old/config.json").write_text('{"format": 1, "family": "gpt1-choice", "normalizer": "as-is"}')
        assert "no longer read; minimum word error" in command("rescore", "--nbest", toy.test, "--lm", "old").complaint


def test_help_tells_of_it(command: Command) -> None:
    assert "--likelihood-weight" in command("train", "gru", "--objective", "mwer", "--help").out
    assert "--objective mwer --help" in " ".join(command("train", "gru", "--help").out.replace("│", " ").split())
