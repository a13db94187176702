from __future__ import annotations

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.scoring.jackknife import unseen_by
from asr_lm.text.sentence_hashes import SentenceHashes, fold_of


def heard(name: str, reference: str | None, hypotheses: int = 2) -> Utterance:
    texts = (Hypothesis(text=f"{name} {rank}") for rank in range(hypotheses))
    return Utterance(id=name, reference=reference, hypotheses=tuple(texts))


def test_each_utterance_is_scored_by_the_first_model_new_to_it() -> None:
    utterances = [heard("a", "one"), heard("b", "two", 1), heard("c", "three"), heard("d", None, 1)]
    seen = [SentenceHashes.from_sentences(text) for text in (["One!", "two"], ["two", "three"], ["one", "three"])]
    assert unseen_by(utterances, seen).tolist() == [1, 2, 0, 0]


def test_an_utterance_every_model_has_seen_is_refused() -> None:
    seen = [SentenceHashes.from_sentences(["one", "two"]), SentenceHashes.from_sentences(["two"])]
    with pytest.raises(InputError, match="utterance 'b': the references of 1 of 3 utterances"):
        unseen_by([heard("a", "one"), heard("b", "two"), heard("c", "x")], seen)


def test_folds_by_hash_leave_every_training_sentence_one_model_that_did_without_it() -> None:
    text = [f"sentence number {number % 700}" for number in range(1000)]
    folds = fold_of(text, 4)
    full = SentenceHashes.from_sentences(text)
    seen = [
        SentenceHashes.from_sentences(line for line, own in zip(text, folds, strict=True) if own != fold)
        for fold in range(4)
    ]
    utterances = [heard(str(number), line) for number, line in enumerate([*text[:300], "new to all"])]
    chosen = unseen_by(utterances, [full, *seen])
    np.testing.assert_array_equal(chosen[:-1], folds[:300] + 1)
    assert chosen[-1] == 0
