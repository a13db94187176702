"""The fingerprint depends on the texts and their order, and on nothing else."""

from __future__ import annotations

from asr_lm.hypotheses.fingerprint import fingerprint
from asr_lm.hypotheses.utterance import Hypothesis, Utterance


def test_it_is_the_same_on_every_machine() -> None:
    assert fingerprint(["a b", "é"]) == "ad47f1d04aef0fdb95a2837547b935e3"


def test_utterances_count_as_their_texts() -> None:
    plain = [Utterance("u", (Hypothesis("a"), Hypothesis(""))), Utterance("v", (Hypothesis("b"),))]
    scored = [
        Utterance("x", (Hypothesis("a", {"lm": 1.0}), Hypothesis("", {"lm": 2.0})), "ref", "r"),
        Utterance("y", (Hypothesis("b", {"lm": 3.0}, 1.0),)),
    ]
    assert fingerprint(plain) == fingerprint(scored) == fingerprint(["a", "", "b"])


def test_different_texts_differ() -> None:
    lists = [[], [""], ["", ""], ["ab"], ["a", "b"], ["b", "a"], ["a", "b", ""], ["a\0b"], ["é"], ["e\u0301"]]
    assert len({fingerprint(texts) for texts in lists}) == len(lists)
