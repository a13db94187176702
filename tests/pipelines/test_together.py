"""Lists of several recognisers, rescored together; references from a file; a mapping on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_language import Command, Finished, Toy

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest


def succeeded(finished: Finished) -> Finished:
    assert finished.code == 0, finished.err
    assert "Traceback" not in finished.err
    return finished


def recogniser(toy: Toy, part: str, first: int) -> Path:
    """Every other hypothesis, from the first one on."""
    path = Path(f"{'ab'[first]}-{part}.jsonl")
    write_nbest(
        path,
        [
            Utterance(each.id, tuple(Hypothesis(h.text, h.scores) for h in each.hypotheses[first::2]), each.reference)
            for each in toy.utterances(part)
        ],
    )
    return path


@pytest.mark.parametrize("name", ["rescore", "compare"])
def test_lists_of_several_recognisers_are_joined(command: Command, toy: Toy, ngram: Path, name: str) -> None:
    reported = "--nbest" if name == "rescore" else "--test"
    places: list[object] = []
    for first in (0, 1):
        places += [reported, recogniser(toy, "test", first), "--dev", recogniser(toy, "dev", first)]
    succeeded(command(name, *places, "--together", "--lm", ngram, "--json", "figures.json"))
    assert "recogniser2.acoustic" in Path("figures.json").read_text()
    if name == "rescore":
        found = {each.id: each for each in read_nbest("a-test+b-test.rescored.json")}
        for utterance in toy.utterances("test"):
            texts = {hypothesis.text for hypothesis in found[utterance.id].hypotheses}
            assert texts == {hypothesis.text for hypothesis in utterance.hypotheses}


def test_lists_that_do_not_belong_together_are_refused(command: Command, toy: Toy, ngram: Path) -> None:
    one, other = recogniser(toy, "test", 0), recogniser(toy, "dev", 1)
    finished = command("rescore", "--nbest", one, "--nbest", other, "--together", "--lm", ngram)
    assert finished.code == 2
    assert "--together" in finished.err


def test_a_mapping_and_references_on_the_command_line(command: Command, toy: Toy, ngram: Path) -> None:
    utterances = toy.utterances("test")
    Path("mine.json").write_text(
        json.dumps(
            {
                each.id: [{"w": h.text, "worse": -h.scores["acoustic"] / 2} for h in each.hypotheses]
                for each in utterances
            }
        )
    )
    Path("said.trn").write_text("".join(f"{each.reference} ({each.id})\n" for each in utterances))
    mapping = ("--map", "utterances={} text=[].w acoustic=-2*[].worse", "--references", "said.trn")
    succeeded(command("rescore", "--nbest", "mine.json", *mapping, "--lm", ngram))
    same = [Utterance(u.id, tuple(Hypothesis(h.text, h.scores) for h in u.hypotheses), u.reference) for u in utterances]
    write_nbest("same.json", same)
    succeeded(command("rescore", "--nbest", "same.json", "--lm", ngram))
    best = [
        [(each.hypotheses[0].text, each.reference) for each in read_nbest(f"{name}.rescored.json")]
        for name in ("mine", "same")
    ]
    assert best[0] == best[1]
