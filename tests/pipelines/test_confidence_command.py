"""``rescore --confidence``: confidences in JSON and CTM, figures of them, and calibrations kept with weights."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from toy_language import Command, Toy

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.writing import write_nbest


def test_confidences_are_written_and_judged(toy: Toy, ngram: Path, command: Command) -> None:
    given = ("--nbest", toy.test, "--lm", ngram)
    tuning = ("--dev", toy.dev, "--save-weights", "weights.json")
    assert command("rescore", *given, *tuning, "--out", "plain.json").code == 0
    finished = command(
        "rescore", *given, *tuning, "--confidence", "--out", "sure.json", "--json", "found.json", "--plots", "plots"
    )
    assert finished.code == 0, finished.err
    assert "normalised cross-entropy" in finished.out
    assert {"reliability.svg", "coverage.png"} <= {path.name for path in Path("plots").iterdir()}
    found = json.loads(Path("found.json").read_text())["confidence"]
    assert found["words"] == sum(entry["words"] for entry in found["reliability"])
    assert {"nce", "ece", "aurc", "errors_in_worst_fifth"} <= found.keys()
    assert {"ece", "aurc"} <= found["dev"].keys()
    sure, plain = list(read_nbest("sure.json")), list(read_nbest("plain.json"))
    assert [utterance.hypotheses[0].text for utterance in sure] == [u.hypotheses[0].text for u in plain]
    again = command("rescore", *given, "--weights", "weights.json", "--confidence", "--out", "again.json")
    assert again.code == 0, again.err
    assert Path("again.json").read_bytes() == Path("sure.json").read_bytes()


def test_ctm_has_the_confidence_behind_the_word(toy: Toy, ngram: Path, command: Command) -> None:
    timed = [
        msgspec.structs.replace(
            utterance,
            hypotheses=tuple(
                msgspec.structs.replace(found, times=tuple((n, n + 0.5) for n in range(len(found.text.split()))))
                for found in utterance.hypotheses
            ),
        )
        for utterance in read_nbest(toy.test)
    ]
    write_nbest("timed.json", timed)
    given = ("--nbest", "timed.json", "--dev", toy.dev, "--lm", ngram, "--confidence")
    finished = command("rescore", *given, "--out", "sure.ctm")
    assert finished.code == 0, finished.err
    lines = [line.split() for line in Path("sure.ctm").read_text().splitlines()]
    assert all(len(line) == 6 and 0 <= float(line[5]) <= 1 for line in lines)


def test_without_a_calibration_there_are_no_confidences(toy: Toy, ngram: Path, command: Command) -> None:
    given = ("--nbest", toy.test, "--lm", ngram)
    finished = command("rescore", *given, "--confidence")
    assert finished.code == 2
    assert "--confidence" in finished.err
    assert command("rescore", *given, "--dev", toy.dev, "--save-weights", "w.json", "--out", "o.json").code == 0
    finished = command("rescore", *given, "--weights", "w.json", "--confidence")
    assert finished.code == 2
    assert "calibration" in finished.err
