"""Laws of context: only what the recogniser heard in the same recording, read once, as each model was trained."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.loading import load_model
from asr_lm.lm.mixtures.linear import LinearMixture
from asr_lm.lm.mixtures.members import Member
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LanguageModel, LogProbs
from asr_lm.lm.training.options import TextOptions
from asr_lm.lm.training.recipe import train_ngram_model
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.scoring import scorer as scoring
from asr_lm.rescoring.scoring.context import SpokenBefore
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table
from asr_lm.rescoring.scoring.scorer import ScoreCache, Scorer, score_texts, tell_nobody
from asr_lm.rescoring.second_pass import rescore
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.systems import System, Systems
from asr_lm.rescoring.tuned import Tuned
from asr_lm.rescoring.weights import Weights
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import Vocabulary, WordVocabulary

WORDS = WordVocabulary(["a", "b", "c"])
NOTHING: tuple[str, ...] = ()


def lstm(trained_on: str = "stream", vocabulary: Vocabulary = WORDS, seed: int = 1) -> NeuralLanguageModel:
    torch.manual_seed(seed)
    network = LstmNetwork(LstmConfig(vocabulary.size, embedding=6, hidden=6))
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.5, 1.5)
    model = NeuralLanguageModel("lstm", network, vocabulary, "as-is")
    model.trained_on = trained_on  # type: ignore[assignment]
    return model


@pytest.fixture
def bigram(tmp_path: Path) -> NgramModel:
    text = tmp_path / "bigram.txt"
    text.write_text("a b\nb c a\na\nc c b a\nb\na b c\n")
    train_ngram_model(TextOptions((text,), None, "as-is", "words"), tmp_path / "bigram", order=2)
    return NgramModel.load(tmp_path / "bigram")


def said(recording: str | None, *texts: str, name: str = "", reference: str | None = None) -> Utterance:
    hypotheses = tuple(Hypothesis(text, {"acoustic": -float(rank)}) for rank, text in enumerate(texts))
    return Utterance(name or "-".join(texts), hypotheses, reference, recording)


def three() -> list[Utterance]:
    """Two recordings that alternate."""
    return [
        said("one", "a b", "a", name="1", reference="a b b"),
        said("two", "c", "b c", name="2", reference="c"),
        said("one", "b", "c b", name="3", reference="b"),
        said("two", "a a", "a", name="4", reference="a a"),
        said("one", "c c", "c", name="5", reference="c"),
    ]


def scores(model: LanguageModel, utterances: list[Utterance], context: int = 1) -> NDArray[np.float64]:
    """The model's column."""
    before = SpokenBefore(context).contexts(utterances)
    return feature_table(utterances, [RescoringModel("m", Path("m"), Scorer(model))], contexts=before).column("m")


def test_contexts_are_the_utterances_before_in_the_recording() -> None:
    utterances = three()
    expected = [NOTHING, NOTHING, ("a b",), ("c",), ("a b", "b")]
    assert SpokenBefore(2).contexts(utterances) == expected
    assert SpokenBefore(1).contexts(utterances) == [*expected[:4], ("b",)]
    in_shards = SpokenBefore(2)
    assert [one for part in (utterances[:2], utterances[2:]) for one in in_shards.contexts(part)] == expected


def test_what_cannot_be_a_context_is_refused() -> None:
    with pytest.raises(InputError, match="no recording") as found:
        SpokenBefore(1).contexts([*three(), said(None, "a", name="9")])
    assert found.value.utterance == "9"
    with pytest.raises(InputError, match="above 0"):
        SpokenBefore(0)


def test_references_are_never_read() -> None:
    model = lstm()
    heard = scores(model, three())
    others = [msgspec.structs.replace(utterance, reference=text) for utterance in three() for text in ("c c c c",)]
    # Sums of products may differ in the last digit from one call to the next.
    np.testing.assert_allclose(scores(model, others), heard, rtol=1e-6)
    without = [msgspec.structs.replace(utterance, reference=None) for utterance in three()]
    np.testing.assert_allclose(scores(model, without), heard, rtol=1e-6)
    first, *rest = three()
    changed = [msgspec.structs.replace(first, hypotheses=first.hypotheses[::-1]), *rest]
    assert not np.isclose(scores(model, changed)[4:6], heard[4:6], rtol=1e-6).any()
    np.testing.assert_allclose(scores(model, changed)[6:], heard[6:], rtol=1e-6)


def test_a_recording_begins_as_without_context() -> None:
    model = lstm()
    with_context, without = scores(model, three()), score_texts(model, [h.text for u in three() for h in u.hypotheses])
    np.testing.assert_allclose(with_context[:4], without.log_prob[:4], rtol=1e-6)
    assert (np.abs(with_context[4:] - without.log_prob[4:]) > 1e-4).all()


@torch.no_grad()
def read(model: NeuralLanguageModel, inputs: list[int], targets: list[int]) -> float:
    """By hand: all inputs through the network, log-probability of the last targets."""
    model.network.eval()
    hidden, _ = model.network(torch.tensor([inputs]))
    values = -model.network.output.nll(hidden[0, -len(targets) :], torch.tensor(targets))
    return float(values.sum())


def test_a_model_of_streams_reads_every_sentence_after_a_start_and_no_end() -> None:
    model, bos, eos = lstm("stream"), WORDS.bos_id, WORDS.eos_id
    a, b, c = 3, 4, 5
    found = score_texts(model, ["b c", "b"], contexts=[("a b", "", "c")] * 2)
    before = [bos, a, b, bos, c, bos]
    assert found.log_prob[0] == pytest.approx(read(model, [*before, b, c], [b, c, eos]), rel=1e-5)
    assert found.log_prob[1] == pytest.approx(read(model, [*before, b], [b, eos]), rel=1e-5)
    assert found.tokens.tolist() == [3, 2]
    stream = model.stream()
    stream.token_log_probs(WORDS.encode_batch(["a b", "c"]))
    assert found.log_prob[0] == pytest.approx(stream.token_log_probs([WORDS.encode("b c")])[0].sum(), rel=1e-5)


def test_an_ngram_leaves_the_context_unread(bigram: NgramModel) -> None:
    assert bigram.context_rule == "none"
    np.testing.assert_array_equal(scores(bigram, three()), scores(bigram, three(), 2))
    texts = [h.text for u in three() for h in u.hypotheses]
    np.testing.assert_array_equal(scores(bigram, three()), score_texts(bigram, texts).log_prob)


def test_members_of_a_mixture_read_the_context_each_in_its_way(bigram: NgramModel) -> None:
    others = WordVocabulary(["c", "b", "a"])
    members = [Member("bigram", bigram), Member("stream", lstm()), Member("sentence", lstm("sentence", others, 2))]
    mixture = LinearMixture(members, [0.3, 0.5, 0.2])
    assert mixture.context_rule == "none + stream + stream"
    sentence, context = "b a", ("c", "a b")

    def alone(model: LanguageModel) -> LogProbs:
        encode = model.vocabulary.encode_batch
        return model.token_log_probs_after(encode([sentence]), [encode(context)])[0]

    each = [np.log(weight) + alone(m.model) for weight, m in zip(mixture.weights, members, strict=True)]
    np.testing.assert_allclose(alone(mixture), np.logaddexp.reduce(each, axis=0), rtol=1e-9)
    assert LinearMixture(members[:1], [1]).context_rule == "none"


def test_budget_shards_and_company_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, utterances = lstm(), three()
    whole = scores(model, utterances, 2)
    monkeypatch.setattr(scoring.shards, "__defaults__", (1,))
    contexts = SpokenBefore(2).contexts(utterances)
    for budget in (1, 4, None):
        found = Scorer(model, budget=budget).score_list(utterances, contexts=contexts)
        np.testing.assert_allclose(found.log_prob, whole, rtol=1e-6)
    padded = [*utterances, said("three", "a b c " * 20, name="6")]
    np.testing.assert_allclose(scores(model, padded, 2)[: len(whole)], whole, rtol=1e-6)


def test_the_cache_tells_contexts_apart(tmp_path: Path) -> None:
    cache, texts = ScoreCache(tmp_path / "cache"), ["b", "c"]
    model = lstm()
    asked = [(model, None), (model, [("a",)] * 2), (model, [("a", "a")] * 2), (model, [("a a",)] * 2)]
    asked.append((model, [("a",), NOTHING]))
    found = []
    for one, contexts in asked:
        scorer = Scorer(one, cache)
        found.append(scorer.score(texts, contexts).log_prob.tolist())
        assert scorer.computed == 2
        again = Scorer(one, cache)
        assert again.score(texts, contexts).log_prob.tolist() == found[-1]
        assert again.found == 2
    assert len({tuple(one) for one in found}) == len(found)
    beginning = Scorer(model, cache)
    assert beginning.score(texts, [NOTHING] * 2).log_prob.tolist() == found[0]
    assert beginning.found == 2


def test_the_second_pass_reads_contexts_over_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    model, utterances = lstm(), three()
    expected = scores(model, utterances, 2)
    monkeypatch.setattr(scoring.shards, "__defaults__", (2,))
    tuned = Tuned.of_weights(Weights(values={"acoustic": 1.0, "m": 0.0}), [])
    column = RescoringModel("m", Path("m"), Scorer(model))
    parts = rescore(utterances, [column], tuned, scoring=Scoring(context=2))
    rescored = [utterance for part in parts for utterance in part.utterances]
    found = [hypothesis.scores["m"] for utterance in rescored for hypothesis in utterance.hypotheses]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_development_contexts_include_utterances_without_a_reference() -> None:
    first, *rest = three()
    utterances = [msgspec.structs.replace(first, reference=None), *rest]
    column = RescoringModel("m", Path("m"), Scorer(lstm()))
    systems = Systems((System("retuned"), System("m", ("m",))), "m")
    development = tune(utterances, [column], systems, scoring=Scoring(context=1)).development
    assert development is not None
    found = development.choices.table.column("m")
    np.testing.assert_allclose(found, scores(lstm(), three())[2:], rtol=1e-6)


def test_jackknife_models_get_the_contexts_of_their_utterances(tmp_path: Path) -> None:
    lstm(seed=2).save(tmp_path)
    seen, rest = SentenceHashes.from_sentences(["b"]), SentenceHashes.from_sentences(["nothing"])
    column = RescoringModel("m", Path("m"), Scorer(lstm()), seen, [(tmp_path, rest)])
    contexts = SpokenBefore(1).contexts(three())
    found = column.score_unseen(three(), tell_nobody, contexts).log_prob
    full, fold = scores(lstm(), three()), scores(load_model(tmp_path), three())
    expected = np.concatenate([full[:4], fold[4:6], full[6:]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_how_a_model_was_trained_is_kept(tmp_path: Path) -> None:
    for trained_on in ("stream", "sentence"):
        model = lstm(trained_on)
        model.save(tmp_path)
        loaded = load_model(tmp_path)
        assert isinstance(loaded, NeuralLanguageModel)
        assert loaded.trained_on == trained_on
        assert loaded.context_rule == "stream"
        config = tmp_path / "config.json"
        config.write_text(config.read_text().replace(f'"trained_on": "{trained_on}"', '"trained_on": "paper"'))
        with pytest.raises(InputError, match="expected sentence or stream, not 'paper'"):
            load_model(tmp_path)
