"""What commands say of how texts are written."""

from __future__ import annotations

import json
from pathlib import Path

from toy_language import Command

import asr_lm
from asr_lm.evaluation.normalized_rate import NormalizedRate
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from pipelines.display import Terminal
from pipelines.normalizing import warn_of_normalizers


def dressed(path: str) -> Path:
    """A list whose hypotheses have capitals and full stops, which its references have not."""
    lists = [
        Utterance(f"{path}{number}", tuple(Hypothesis(text, {"am": score}) for text, score in heard), said)
        for number, (said, heard) in enumerate(
            [
                ("the ferry is late", [("The fairy is late.", -4.0), ("The ferry is late.", -4.1)]),
                ("order forty two lamps", [("Order 42 lambs.", -5.0), ("Order 42 lamps.", -5.2)]),
                ("we moored the boat", [("We moored the boat.", -3.0), ("We mowed the boat.", -3.5)]),
            ]
        )
    ]
    asr_lm.write_nbest(path, lists)
    return Path(path)


def test_a_list_that_is_written_otherwise_is_told_with_the_way_out(command: Command) -> None:
    test, dev = dressed("test.json"), dressed("dev.json")
    finished = command("rescore", "--nbest", test, "--out", "o.json", "--json", "r.json")
    assert finished.code == 0, finished.err
    assert "over 3 utterances the first pass has 75.00 % errors" in finished.err
    assert "16.67 % with --wer-normalizer english" not in finished.err
    assert "% with --wer-normalizer english: the rest is casing, punctuation" in finished.err
    assert json.loads(Path("r.json").read_text())["normalized"]["normalizer"] == "english"
    texts = {found.text for utterance in asr_lm.read_nbest("o.json") for found in utterance.hypotheses}
    assert texts == {found.text for utterance in asr_lm.read_nbest(test) for found in utterance.hypotheses}
    tuned = command("rescore", "--nbest", test, "--dev", dev, "--out", "p.json")
    assert "development list: over 3 utterances" in tuned.err
    quiet = command("rescore", "--nbest", test, "--out", "q.json", "--wer-normalizer", "english")
    assert "the rest is casing" not in quiet.err


def test_each_is_told_once() -> None:
    terminal = Terminal()
    for _ in range(2):
        warn_of_normalizers(NormalizedRate("unicode", 5.0, 17.0, 8), "some are lost", terminal)
    assert len(terminal.warnings) == 2
    warn_of_normalizers(None, None, terminal)
    assert len(terminal.warnings) == 2
