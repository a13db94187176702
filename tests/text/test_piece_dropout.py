"""Laws of BPE-dropout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.text.piece_dropout import PieceDropout
from asr_lm.text.vocabulary import SentencePieceVocabulary, WordVocabulary

TEXT = ["the harbour lights were lit", "a light in the harbour", "they were late at the lighthouse", "tell the harbour"]
PIECES = SentencePieceVocabulary.train(TEXT, 300, at_most=True)
texts = st.lists(st.text("abehilrtu\u2581é", max_size=9), max_size=6).map(" ".join) | st.sampled_from(TEXT)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(texts)
def test_nothing_left_out_is_the_encoding_of_sentencepiece(text: str) -> None:
    text = " ".join(text.replace("\u2581", " ").split())
    assert PieceDropout(PIECES, 0).encode(text, generator()).tolist() == PIECES.encode(text).tolist()


@given(texts, st.floats(0, 1), st.integers(0, 9))
def test_the_text_stays_the_same(text: str, share: float, seed: int) -> None:
    ids = PieceDropout(PIECES, share).encode(text, generator(seed)).tolist()
    assert PIECES.decode(ids).split() == text.replace("\u2581", " ").split()


def test_all_left_out_is_letters() -> None:
    ids = PieceDropout(PIECES, 1).encode("the lights", generator()).tolist()
    assert [PIECES.tokens[index] for index in ids] == [*"\u2581the\u2581lights"]


def test_each_joining_is_left_out_as_often_as_asked() -> None:
    two = SentencePieceVocabulary.train(["ab ab ab"], 300, at_most=True)
    ranks = two.ranks()
    assert ranks is not None
    assert "\u2581ab" in ranks
    first = ("ab" in ranks) + ("\u2581a" in ranks)  # joinings that are possible in the first step; one in the second
    random, dropout = generator(), PieceDropout(two, 0.3)
    whole = [len(dropout.encode("ab", random)) == 1 for _ in range(4000)]
    assert np.mean(whole) == pytest.approx((1 - 0.3**first) * 0.7, abs=0.03)


def test_what_is_drawn_depends_on_the_generator_alone() -> None:
    dropout = PieceDropout(PIECES, 0.5)
    one, other = generator(3), generator(3)
    for text in TEXT:
        assert dropout.encode(text, one).tolist() == dropout.encode(text, other).tolist()


def test_other_vocabularies_and_shares_are_refused() -> None:
    unigram = SentencePieceVocabulary.train(TEXT, 300, model_type="unigram", at_most=True)
    for vocabulary in (unigram, WordVocabulary.build(TEXT)):
        assert vocabulary.ranks() is None
        with pytest.raises(InputError, match="byte pair encoding alone"):
            PieceDropout(vocabulary, 0.1)
    with pytest.raises(InputError, match="share from 0 to 1"):
        PieceDropout(PIECES, 1.1)
