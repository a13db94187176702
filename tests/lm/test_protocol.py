"""Laws of all models: text goes in as anybody writes it, token ids where the name says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_lm.errors import InputError
from asr_lm.lm.families.ngram import NgramModel, train_ngram
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.mixtures.linear import LinearMixture
from asr_lm.lm.mixtures.log_linear import LogLinearMixture
from asr_lm.lm.mixtures.members import Member
from asr_lm.lm.protocol import CausalModel, LanguageModel, Ranker, language_model
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

WORDS = WordVocabulary(["the", "ferry", "is", "late", "again", "day"])
SMALL = {
    "embedding": 8,
    "hidden": 8,
    "attention": 8,
    "maxout": 8,
    "width": 12,
    "layers": 1,
    "heads": 3,
    "positions": 16,
}
SMALL |= {"order": 3, "dropout": 0}


def neural(family: str, vocabulary: Vocabulary = WORDS) -> Ranker:
    torch.manual_seed(1)
    described = FAMILIES[family]
    names = described.sizes.__dataclass_fields__
    sizes = {name: value for name, value in SMALL.items() if name in names}
    network = described.make_network(described.sizes(vocabulary_size=vocabulary.size, **sizes))
    model: Ranker = described.model_class()(family, network, vocabulary, "librispeech")
    return model


def ngram(folder: Path) -> NgramModel:
    corpus = TokenCorpus.from_sentences(["the ferry is late", "late again", "the day is late"] * 2, WORDS)
    train_ngram(corpus, WORDS, "librispeech", folder, order=2)
    return NgramModel.load(folder)


def pieces() -> Vocabulary:
    lines = ["the ferry is late again", "a day is late"] * 20
    return SentencePieceVocabulary.train(lines, 300)


def mixed(folder: Path, other: Ranker) -> LinearMixture:
    members = [Member("ngram", ngram(folder)), Member("other", language_model(other))]
    return LinearMixture(members, [0.5, 0.5])


MODELS: dict[str, Callable[[Path], Ranker]] = {
    **{family: lambda folder, family=family: neural(family) for family in FAMILIES},  # type: ignore[misc]
    "ngram": ngram,
    "pieces": lambda folder: neural("lstm", pieces()),
    "linear": lambda folder: mixed(folder, neural("lstm")),
    "word by word": lambda folder: mixed(folder, neural("lstm", pieces())),
    "log-linear": lambda folder: LogLinearMixture([Member("a", neural("lstm"))], [1.0]),  # type: ignore[arg-type]
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Ranker:
    made = MODELS[request.param](tmp_path / "ngram")
    if isinstance(made, ConditionalModel):
        with pytest.raises(InputError, match="given what the recogniser heard"):
            made.score(["the ferry"])
        pytest.skip("scores a text only given a list")
    return made


def test_what_the_normaliser_makes_equal_is_equal(model: Ranker) -> None:
    plain, written = model.score(["the ferry is late again", "The ferry is late again."])
    assert plain == written


def test_text_and_its_token_ids_have_one_score(model: Ranker) -> None:
    texts = ["the ferry is late again", "", "late day"]
    expected = model.score_tokens(model.vocabulary.encode_batch(texts))
    np.testing.assert_allclose(model.score(text for text in texts), expected, atol=1e-5)
    assert model.score([]).shape == (0,)


def test_a_log_probability_is_the_sum_of_its_tokens(model: Ranker) -> None:
    if not isinstance(model, LanguageModel):
        pytest.skip("gives no probabilities")
    texts = ["the ferry is late again", ""]
    summed = [values.sum() for values in model.token_log_probs(model.encode(texts))]
    np.testing.assert_allclose(model.log_prob(texts), summed, atol=1e-5)
    assert model.log_prob(texts).dtype == np.float64


def test_what_was_said_before_is_text_too(model: Ranker) -> None:
    texts, before = ["again.", "late"], [["The ferry is late."], None]
    encoded = [model.encode(context or ()) for context in before]
    expected = model.score_tokens(model.encode(texts), encoded)
    np.testing.assert_allclose(model.score(texts, before), expected, atol=1e-5)
    np.testing.assert_allclose(model.score(texts, [None, None]), model.score(texts), atol=1e-4)


def test_one_string_is_not_several_texts(model: Ranker) -> None:
    with pytest.raises(InputError, match=r"texts: expected several strings, as in \['the ferry'\], not one string"):
        model.score("the ferry")
    if model.context_rule != "none":
        with pytest.raises(InputError, match="contexts: expected several strings"):
            model.score(["the ferry"], ["is late"])
        with pytest.raises(InputError, match="contexts: 2 contexts for 1 text"):
            model.score(["the ferry"], [None, None])


@pytest.mark.parametrize("ids", [[np.array([3, 4], np.int32)], [None], [b"the"]])
def test_token_ids_are_no_text(model: Ranker, ids: list[object]) -> None:
    with pytest.raises(InputError, match=r"texts: expected strings, not \w+ \(score_tokens takes token ids\)"):
        model.score(ids)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["the ferry", ["the ferry"], [["the", "ferry"]], [[0.5]], [[[3]]], [3]])
def test_text_is_no_token_ids(model: Ranker, text: object) -> None:
    asked = [model.score_tokens]
    if isinstance(model, LanguageModel):
        asked += [model.token_log_probs, lambda some: model.token_log_probs_after(some, [[]] * len(some))]
    for ask in asked:
        with pytest.raises(InputError, match="expected the token ids of each sentence, not"):
            ask(text)  # type: ignore[arg-type]


def test_who_is_what() -> None:
    kinds = {name: type(neural(name)) for name in FAMILIES}
    rankers = {name for name, kind in kinds.items() if not issubclass(kind, LanguageModel)}
    assert rankers == {"birnn-attention"}
    assert {name for name, kind in kinds.items() if issubclass(kind, CausalModel)} == set(FAMILIES) - rankers - {
        "bilstm"
    }
