"""``compare``: each model alone and all together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_language import Command, Toy

from asr_lm.evaluation.roles import BOUNDS
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import write_nbest


def test_every_model_is_a_row_and_a_record(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    models = ("--lm", ngram, "--lm", f"net={lstm}")
    finished = command("compare", "--dev", toy.dev, "--test", toy.test, *models, "--json", "c.json")
    assert finished.code == 0, finished.err
    assert finished.written == {"c.json"}
    record = json.loads(Path("c.json").read_text())
    systems = {name: record[name] for name in ("first_pass", "retuned", *BOUNDS)} | record["systems"]
    rows = ["ngram", "net", "ngram + net", "ngram + net, minimum Bayes risk"]
    assert list(record["systems"]) == [*rows, "ngram, shrunk"]  # the last is what the held-out check chose
    titles = {"first_pass": "first pass", "retuned": "re-tuned first pass", BOUNDS[1]: "compositional oracle"}
    lines = finished.out.splitlines()
    for name, result in systems.items():
        title = titles.get(name, name)
        assert any(line.startswith(f"{title} ") and f" {result['wer']:.2f} " in line for line in lines), title
        if name not in ("first_pass", "retuned", *BOUNDS):
            assert result["difference"]["against"] == "retuned"
            assert systems["oracle"]["wer"] <= result["wer"] < systems["retuned"]["wer"]
            assert 0 <= result["difference"]["p_value"] <= 1
    assert set(record["weights"]) == set(systems) - {"first_pass", *BOUNDS}
    assert set(record["weights"]["ngram"]) == {"acoustic", "words", "characters", "ngram", "unknown:ngram"}
    assert record["tuned_on"] == str(toy.dev)


def test_the_row_to_test_against_may_be_chosen(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    arguments = ("--dev", toy.dev, "--test", toy.test, "--lm", ngram, "--lm", f"net={lstm}", "--no-mbr")
    for asked, name in (("ngram", "ngram"), ("ngram+net", "ngram + net"), ("first pass", "first_pass")):
        finished = command("compare", *arguments, "--baseline", asked, "--json", "c.json")
        assert finished.code == 0, finished.err
        record = json.loads(Path("c.json").read_text())
        assert record["baseline"] == name
        assert {row["difference"]["against"] for row in record["systems"].values() if "difference" in row} == {name}
    finished = command("compare", *arguments, "--baseline", "nobody")
    assert finished.code == 2
    assert "no row is called 'nobody'; there are first pass, re-tuned first pass, ngram, net, ngram +" in finished.err


def test_one_model_compares_to_what_rescore_gives(command: Command, toy: Toy, ngram: Path) -> None:
    command("compare", "--dev", toy.dev, "--test", toy.test, "--lm", ngram, "--json", "c.json")
    command("rescore", "--dev", toy.dev, "--nbest", toy.test, "--lm", ngram, "--json", "r.json")
    compared, rescored = (json.loads(Path(name).read_text()) for name in ("c.json", "r.json"))
    assert compared["systems"]["ngram"]["wer"] == rescored["rescored"]["wer"]
    assert compared["retuned"]["wer"] == rescored["retuned"]["wer"]
    assert compared["weights"]["ngram"] == rescored["weights"]


def test_the_verdict_of_held_out_utterances_is_told(command: Command, toy: Toy, ngram: Path) -> None:
    for name, option in (("compare", "--test"), ("rescore", "--nbest")):
        finished = command(name, "--dev", toy.dev, option, toy.test, "--lm", ngram, "--json", "v.json")
        found = json.loads(Path("v.json").read_text())["verdict"]
        assert found["text"] in finished.out
        assert "against" in found["text"]
        assert (found["wins"], found["needed"]) == (True, None)


def test_several_test_lists(command: Command, toy: Toy, ngram: Path) -> None:
    utterances = toy.utterances("test")
    write_nbest("half.json", utterances[:20])
    lists = ("--test", toy.test, "--test", "half.json")
    finished = command("compare", "--dev", toy.dev, *lists, "--lm", ngram, "--json", "c.json")
    assert finished.code == 0, finished.err
    record = json.loads(Path("c.json").read_text())
    assert list(record["lists"]) == [str(toy.test), "half.json"]
    assert record["lists"]["half.json"]["utterances"] == 20
    assert "half.json" in finished.out.splitlines()


def test_characters_recordings_and_normalisers(command: Command, toy: Toy, ngram: Path) -> None:
    shouted = [
        Utterance(u.id, u.hypotheses, (u.reference or "").upper() + "!", u.recording) for u in toy.utterances("test")
    ]
    write_nbest("shouted.json", shouted)
    how = ("--unit", "character", "--resample", "recording", "--wer-normalizer", "librispeech")
    for name, path in (("plain", toy.test), ("shouted", "shouted.json")):
        finished = command("compare", "--dev", toy.dev, "--test", path, "--lm", ngram, *how, "--json", name)
        assert finished.code == 0, finished.err
        assert "CER %" in finished.out
        assert "after the normaliser librispeech" in finished.out.replace("\n", " ")
    plain, other = (json.loads(Path(name).read_text()) for name in ("plain", "shouted"))
    for record in (plain, other):
        for system in record["systems"].values():
            # The model reads the references as they are written, and the second run finds its scores in the cache.
            del system["perplexity"], system["hypotheses_per_second"]
    assert plain["systems"] == other["systems"]
    assert plain["resampled"] == {"unit": "recording", "units": 8}
    assert plain["first_pass"]["cer"] > 0


def test_without_models_the_packaged_one_is_compared(command: Command, toy: Toy) -> None:
    finished = command("compare", "--dev", toy.dev, "--test", toy.test, "--json", "c.json")
    assert finished.code == 0, finished.err
    assert "using the packaged general-English model" in finished.err
    record = json.loads(Path("c.json").read_text())
    assert list(record["systems"])[:2] == ["default", "default, minimum Bayes risk"]
    assert record["chosen"] in ("first_pass", "retuned", *record["systems"])


@pytest.mark.parametrize("given", [("--dev", "{dev}"), ("--test", "{test}"), ()])
def test_both_lists_are_needed(command: Command, toy: Toy, given: tuple[str, ...]) -> None:
    arguments = [text.format(dev=toy.dev, test=toy.test) for text in given]
    missing = "--test" if "--dev" in given else "--dev"
    assert f"{missing}: expected at least one list" in command("compare", *arguments).complaint


def test_a_list_is_not_compared_on_what_it_was_tuned_on(command: Command, toy: Toy, ngram: Path) -> None:
    assert "cannot be the one weights are tuned on" in command("compare", "--dev", toy.dev, "--test", toy.dev).complaint
    Path("copy.json").write_bytes(toy.dev.read_bytes())
    finished = command("compare", "--dev", toy.dev, "--test", "copy.json", "--lm", ngram)
    assert finished.complaint.startswith("error: copy.json: 100 % of the utterances are in the development")


def test_a_test_list_needs_references(command: Command, toy: Toy, ngram: Path) -> None:
    write_nbest("silent.json", [Utterance(u.id, u.hypotheses) for u in toy.utterances("test")])
    finished = command("compare", "--dev", toy.dev, "--test", "silent.json", "--lm", ngram)
    assert finished.complaint.startswith("error: silent.json: none of the 40 utterances has a reference")


def test_force_applies_all_models_together(command: Command, toy: Toy, ngram: Path, lstm: Path) -> None:
    # Of four utterances no folds can be made: nothing is known to win.
    write_nbest(Path("few.json"), toy.utterances("dev")[:4])
    given = ("compare", "--dev", "few.json", "--test", toy.test, "--lm", ngram, "--lm", lstm, "--json", "c.json")
    for force, chosen in (((), "first_pass"), (("--force",), "ngram + lstm")):
        assert command(*given, *force).code == 0
        assert json.loads(Path("c.json").read_text())["chosen"] == chosen
