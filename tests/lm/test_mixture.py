"""Laws of mixtures: a distribution in every context, the best weights there are, one result however it is computed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.loading import load_model
from asr_lm.lm.mixtures.estimation import MixtureTraining, train_mixture
from asr_lm.lm.mixtures.linear import LinearMixture, interpolate, validation_log_probs
from asr_lm.lm.mixtures.log_linear import LogLinearMixture, interpolate_log_linearly
from asr_lm.lm.mixtures.members import Member
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LanguageModel, Tokens
from asr_lm.lm.scoring.learning import Learning
from asr_lm.lm.training.options import TextOptions
from asr_lm.lm.training.recipe import train_ngram_model
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

LETTERS = WordVocabulary(["a", "b", "c"])
TEXT = ["a b", "b c a", "a", "c c b a", "b", "a b c", "c a", "b b"] * 3


def lstm(vocabulary: Vocabulary = LETTERS, seed: int = 1, normalizer: str = "as-is") -> NeuralLanguageModel:
    torch.manual_seed(seed)
    network = LstmNetwork(LstmConfig(vocabulary.size, embedding=6, hidden=6))
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1.5, 1.5)
    return NeuralLanguageModel("lstm", network, vocabulary, normalizer)


def ngram(folder: Path, lines: list[str] = TEXT, order: int = 2, **options: int) -> NgramModel:
    text = folder.with_suffix(".txt")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("".join(f"{line}\n" for line in lines))
    train_ngram_model(TextOptions((text,), None, "as-is", "words", **options), folder, order=order)  # type: ignore[arg-type]
    return NgramModel.load(folder)


def of(*models: LanguageModel) -> list[Member]:
    return [Member(f"m{number}", model) for number, model in enumerate(models)]


def encoded(model: LanguageModel, lines: list[str]) -> list[Tokens]:
    return model.vocabulary.encode_batch(lines)


def perplexity(model: LanguageModel, lines: list[str], carry_state: bool = False) -> float:
    return measure([model], lines, carry_state=carry_state)[0].per_word


def test_a_linear_mixture_is_a_distribution_and_the_mean_of_its_members() -> None:
    models = [lstm(seed=1), lstm(seed=2), lstm(seed=3)]
    mixture = LinearMixture(of(*models), [0.2, 0.5, 0.3])
    for context in ([], [3], [4, 5, 0, 3]):
        following = [np.array([*context, token], np.int32) for token in range(LETTERS.size)]
        each = np.exp([[row[len(context)] for row in m.token_log_probs(following)] for m in [mixture, *models]])
        assert each[0].sum() == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(each[0], 0.2 * each[1] + 0.5 * each[2] + 0.3 * each[3], rtol=1e-6)


def test_members_of_one_vocabulary_are_mixed_by_token_and_others_by_word(tmp_path: Path) -> None:
    words, pieces = lstm(seed=1), lstm(_pieces(), seed=2)
    by_word = LinearMixture(of(words, pieces), [0.25, 0.75])
    text = "a cab b"
    first = words.token_log_probs(encoded(words, [text]))[0]
    second = np.array(_by_word(pieces, text))
    assert words.vocabulary.unknown_words("cab")
    expected = np.logaddexp(first + np.log(0.25), second + np.log(0.75))
    expected[1] = second[1] + np.log(0.75)  # a word that the first member lacks
    np.testing.assert_allclose(by_word.token_log_probs(encoded(by_word, [text]))[0], expected, rtol=1e-6)
    assert by_word.vocabulary.is_open
    assert by_word.vocabulary.unknown_words(text) == 0


def _pieces() -> SentencePieceVocabulary:
    lines = ["a cab", "b c", "abc bca", "a b c cab", "cab abc"] * 20
    return SentencePieceVocabulary.train(lines, 268)


def _by_word(model: LanguageModel, text: str) -> list[float]:
    """By hand: the pieces of each word of a sentence, one word after another."""
    values = iter(model.token_log_probs(encoded(model, [text]))[0].tolist())
    return [sum(itertools.islice(values, len(model.vocabulary.encode(word)))) for word in text.split()] + [next(values)]


def test_closed_members_over_different_words_make_one_distribution(tmp_path: Path) -> None:
    first, second = ngram(tmp_path / "one"), ngram(tmp_path / "two", ["a d", "d d a", "b d"] * 4)
    mixture = LinearMixture(of(first, second), [0.6, 0.4])
    assert [mixture.vocabulary.unknown_words(word) for word in ("a", "c", "d", "e")] == [0, 0, 0, 1]
    for context in ("", "a", "d c", "e"):
        sentences = encoded(mixture, [f"{context} {word}" for word in ("a", "b", "c", "d", "e")])
        place = len(context.split())
        mass = sum(np.exp(values[place]) for values in mixture.token_log_probs(sentences))
        mass += np.exp(mixture.token_log_probs(encoded(mixture, [context]))[0][-1])
        assert mass == pytest.approx(1, abs=1e-5)


def test_a_word_that_all_members_lack_is_unknown_to_the_mixture(tmp_path: Path) -> None:
    mixture = LinearMixture(of(ngram(tmp_path / "one"), ngram(tmp_path / "two", ["a d"] * 4)), [0.5, 0.5])
    assert not mixture.vocabulary.is_open
    values = mixture.token_log_probs(encoded(mixture, ["a zebra", "a giraffe"]))
    np.testing.assert_array_equal(*values)
    assert np.isfinite(values).all()


def test_weight_one_is_that_member_alone(tmp_path: Path) -> None:
    models = [lstm(), ngram(tmp_path / "ngram")]
    for number, model in enumerate(models):
        mixture = LinearMixture(of(*models), np.eye(2)[number])
        for text in ("", "a b c", "d a"):
            expected = model.token_log_probs(encoded(model, [text]))
            np.testing.assert_allclose(mixture.token_log_probs(encoded(mixture, [text])), expected, rtol=1e-12)
    log_linear = LogLinearMixture(of(lstm(), lstm(seed=2)), [1, 0])
    spoken = 1 - np.exp(lstm().token_log_probs([np.array([LETTERS.bos_id], np.int32)])[0][0])
    first = lstm().token_log_probs([np.array([3], np.int32)])[0][0] - np.log(spoken)
    assert log_linear.token_log_probs([np.array([3], np.int32)])[0][0] == pytest.approx(first, rel=1e-5)


@given(st.integers(0, 1000), st.integers(2, 4))
@settings(max_examples=25)
def test_the_likelihood_never_falls_and_ends_at_its_highest(seed: int, members: int) -> None:
    generator = np.random.default_rng(seed)
    log_probs = -generator.gamma(2.0, 2.0, (members, 40)) - generator.gamma(1.0, 0.5, (members, 1))
    found = interpolate(log_probs)
    assert (np.diff(found.log_likelihood) >= -1e-12).all()
    assert found.weights.sum() == pytest.approx(1)
    others = generator.dirichlet(np.ones(members), 300)
    grid = np.concatenate([others, np.eye(members), 0.99 * found.weights + 0.01 * others])
    likelihood = np.log(grid @ np.exp(log_probs)).mean(axis=1)
    assert found.log_likelihood[-1] >= likelihood.max() - 1e-6
    assert found.log_likelihood[-1] >= log_probs.mean(axis=1).max()
    assert np.log(found.weights @ np.exp(log_probs)).mean() == pytest.approx(found.log_likelihood[-1], abs=1e-9)


def test_the_weights_of_two_members_are_those_of_a_fine_grid() -> None:
    log_probs = np.log(np.random.default_rng(1).dirichlet((1, 1, 1), (2, 200))[:, :, 0])
    grid = np.linspace(0.0005, 0.9995, 1000)
    likelihood = [np.logaddexp(np.log(w) + log_probs[0], np.log(1 - w) + log_probs[1]).mean() for w in grid]
    assert interpolate(log_probs).weights[0] == pytest.approx(grid[int(np.argmax(likelihood))], abs=2e-3)


def test_a_useless_member_gets_no_weight_and_an_impossible_word_is_refused() -> None:
    np.testing.assert_array_equal(interpolate(np.array([[-1.0, -2], [-3, -4]])).weights, [1, 0])
    assert interpolate(np.array([[-1.0, -np.inf], [-np.inf, -1.0]])).weights == pytest.approx([0.5, 0.5])
    with pytest.raises(InputError, match="probability 0 under all members"):
        interpolate(np.array([[-1.0, -np.inf], [-2.0, -np.inf]]))


def test_a_log_linear_mixture_is_a_distribution_and_the_product_of_its_members() -> None:
    models = [lstm(seed=1), lstm(seed=2)]
    mixture = LogLinearMixture(of(*models), [0.7, -0.4])
    spoken = [token for token in range(LETTERS.size) if token != LETTERS.bos_id]
    for context in ([], [3], [4, 5, 0, 3]):
        following = [np.array([*context, token], np.int32) for token in spoken]
        each = np.array([[row[len(context)] for row in m.token_log_probs(following)] for m in [mixture, *models]])
        product = 0.7 * each[1] - 0.4 * each[2]
        np.testing.assert_allclose(each[0], product - np.log(np.exp(product).sum()), atol=1e-6)


def test_log_linear_scores_do_not_depend_on_blocks_and_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bigram = ngram(tmp_path / "ngram")
    mixture = LogLinearMixture(of(bigram, lstm(bigram.vocabulary)), [0.6, 0.5])
    sentences = encoded(mixture, ["a b c a", "a b", "", "c c c c c c", "a b c b", "b", "d d"])
    whole = mixture.token_log_probs(sentences)
    monkeypatch.setattr("asr_lm.lm.mixtures.log_linear._BLOCK_VALUES", 20)
    for budget in (3, None):
        for one, other in zip(whole, mixture.token_log_probs(sentences, budget), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_log_linear_weights_have_the_highest_likelihood() -> None:
    members = of(lstm(seed=1), lstm(seed=2))
    sentences = LETTERS.encode_batch(TEXT)
    found = interpolate_log_linearly(members, sentences)
    assert (np.diff(found.log_likelihood) > 0).all()

    def likelihood(weights: list[float]) -> float:
        return float(np.concatenate(LogLinearMixture(members, weights).token_log_probs(sentences)).mean())

    best = likelihood(found.weights.tolist())
    assert best == pytest.approx(found.log_likelihood[-1], abs=1e-5)
    around = [found.weights + 0.05 * np.array(step) for step in itertools.product((-1, 0, 1), repeat=2) if any(step)]
    assert best > max(likelihood(weights.tolist()) for weights in [*around, np.array([1, 0]), np.array([0, 1])])


def test_log_linear_needs_causal_models_over_the_same_tokens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="models over the same tokens"):
        LogLinearMixture(of(lstm(), ngram(tmp_path / "other", ["a d"] * 4)), [1, 1])
    with pytest.raises(InputError, match="'m1' is none"):
        LogLinearMixture(of(lstm(), LinearMixture(of(lstm()), [1])), [1, 1])
    with pytest.raises(InputError, match="sentence by sentence"):
        perplexity(LogLinearMixture(of(lstm(), lstm(seed=2)), [1, 1]), TEXT, carry_state=True)


def test_what_cannot_be_mixed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"normalised differently .* m0 \(as-is\), m1 \(librispeech\)"):
        LinearMixture(of(lstm(), lstm(normalizer="librispeech")), [0.5, 0.5])


def test_numbers_may_be_written_out_for_all_members() -> None:
    members = of(lstm(normalizer="librispeech"), lstm(normalizer="spoken-english"))
    assert LinearMixture(members, [0.5, 0.5]).normalizer == "spoken-english"
    for weights in ([0.5], [0.7, 0.7], [1.5, -0.5], [np.nan, 1]):
        with pytest.raises(InputError, match="weights"):
            LinearMixture(of(lstm(), lstm()), weights)


def test_a_stream_carries_the_state_of_the_members_that_have_one(tmp_path: Path) -> None:
    bigram = ngram(tmp_path / "ngram")
    network = lstm(bigram.vocabulary)
    mixture = LinearMixture(of(network, bigram), [0.4, 0.6])
    sentences = encoded(network, TEXT)
    carried = np.concatenate(network.stream().token_log_probs(sentences))
    fresh = np.concatenate(bigram.token_log_probs(sentences))
    expected = np.logaddexp(carried + np.log(0.4), fresh + np.log(0.6))
    stream = mixture.stream()
    parts = [stream.token_log_probs(encoded(mixture, lines)) for lines in (TEXT[:5], [], TEXT[5:])]
    np.testing.assert_allclose(np.concatenate([row for part in parts for row in part]), expected, rtol=1e-5)
    assert perplexity(mixture, TEXT, carry_state=True) == pytest.approx(np.exp(-expected.mean()), rel=1e-5)
    with pytest.raises(InputError, match="no member of the mixture has a state"):
        LinearMixture(of(bigram, bigram), [0.5, 0.5]).stream()


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    """An n-gram and an LSTM over its words, each in a folder."""
    bigram = ngram(tmp_path / "ngram")
    lstm(bigram.vocabulary).save(tmp_path / "lstm")
    return [Member(name, load_model(tmp_path / name), tmp_path / name) for name in ("ngram", "lstm")]


def _train(members: list[Member], folder: Path, **options: object) -> MixtureTraining:
    valid = folder.parent / "valid.txt"
    valid.write_text("a b a\nc a\nb a c\n\nc\n")
    return train_mixture(members, valid, folder, open_model=load_model, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["linear", "log-linear"])
@pytest.mark.parametrize("copy", [False, True])
def test_a_saved_mixture_scores_as_before(members: list[Member], tmp_path: Path, kind: str, copy: bool) -> None:
    (tmp_path / "runs").mkdir()
    result = _train(members, tmp_path / "runs" / "mixture", kind=kind, copy=copy)
    if copy:
        for name in ("ngram", "lstm"):
            (tmp_path / name).rename(tmp_path / f"{name}.gone")
    loaded = load_model(tmp_path / "runs" / "mixture")
    assert loaded.fingerprint() == result.mixture.fingerprint()
    sentences = encoded(loaded, TEXT)
    pairs = zip(loaded.token_log_probs(sentences), result.mixture.token_log_probs(sentences), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    loaded.save(tmp_path / "again")
    assert load_model(tmp_path / "again").fingerprint() == loaded.fingerprint()


def test_the_members_that_can_learn_from_what_is_read(tmp_path: Path) -> None:
    network, bigram = lstm(), ngram(tmp_path / "n")
    mixture, learning = LinearMixture(of(network, bigram), [0.6, 0.4]), Learning(0.05, TEXT[:4], 0.1)
    sentences = encoded(network, TEXT)
    learnt = np.concatenate(network.learning_reader(learning).token_log_probs(sentences))
    alone = np.concatenate(bigram.token_log_probs(encoded(bigram, TEXT)))
    expected = np.logaddexp(learnt + np.log(0.6), alone + np.log(0.4))
    found = np.concatenate(mixture.learning_reader(learning).token_log_probs(encoded(mixture, TEXT)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.mean() > np.concatenate(mixture.stream().token_log_probs(encoded(mixture, TEXT))).mean()
    with pytest.raises(InputError, match="cannot learn"):
        LinearMixture(of(bigram, bigram), [0.5, 0.5]).learning_reader(learning)
    assert not LinearMixture(of(network, bigram), [0.0, 1.0]).learns


@pytest.mark.parametrize("carry_state", [False, True])
def test_a_mixture_is_never_worse_on_its_validation_text_than_a_member(
    members: list[Member], tmp_path: Path, carry_state: bool
) -> None:
    result = _train(members, tmp_path / "mixture", carry_state=carry_state)
    lines = (tmp_path / "valid.txt").read_text().splitlines()
    measured = perplexity(load_model(tmp_path / "mixture"), lines, carry_state)
    assert measured == pytest.approx(result.perplexity, rel=1e-6)
    assert measured <= min(result.alone)
    assert result.alone[1] == pytest.approx(perplexity(members[1].model, lines, carry_state), rel=1e-6)


def test_mixture_and_members_move_together(members: list[Member], tmp_path: Path) -> None:
    _train(members, tmp_path / "mixture")
    new = tmp_path / "elsewhere"
    new.mkdir()
    for name in ("ngram", "lstm", "mixture"):
        (tmp_path / name).rename(new / name)
    assert load_model(new / "mixture").parameters == sum(member.model.parameters for member in members)
    (new / "lstm").rename(new / "gone")
    with pytest.raises(InputError, match="member 'lstm' of the mixture is missing"):
        load_model(new / "mixture")


def test_a_member_that_has_changed_is_refused(members: list[Member], tmp_path: Path) -> None:
    _train(members, tmp_path / "mixture")
    lstm(members[0].model.vocabulary, seed=9).save(tmp_path / "lstm")
    with pytest.raises(InputError, match=r"'lstm' of the mixture .* has changed"):
        load_model(tmp_path / "mixture")


@pytest.mark.parametrize(
    "damage", [{"mixture": None}, {"kind": "cubic"}, {"weights": [0.5, "x"]}, {"weights": [0.5, 0.6]}, {"members": []}]
)
def test_a_damaged_folder_is_refused(members: list[Member], tmp_path: Path, damage: dict[str, object]) -> None:
    _train(members, tmp_path / "mixture")
    path = tmp_path / "mixture" / "config.json"
    config = json.loads(path.read_text())
    if "mixture" in damage:
        config |= damage
    else:
        config["mixture"] |= damage
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="damaged model folder"):
        load_model(tmp_path / "mixture")


def test_a_mixture_that_is_a_member_of_its_own_member_is_refused(members: list[Member], tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        _train(members, tmp_path / name)
        path = tmp_path / name / "config.json"
        config = json.loads(path.read_text())
        config["mixture"]["members"][0]["places"] = [f"../{other}"]
        path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="it names itself"):
        load_model(tmp_path / "one")


def test_the_mixture_has_seen_what_its_members_have_seen(tmp_path: Path) -> None:
    members = []
    for name, lines in (("one", TEXT), ("two", ["a c c c", "b b b"])):
        ngram(tmp_path / name, lines)
        for fold in (0, 1):
            ngram(tmp_path / name / "folds" / str(fold), [f"a{fold}", *lines])
        members.append(Member(name, load_model(tmp_path / name), tmp_path / name))
    members.append(Member("unknown", lstm()))
    result = _train(members, tmp_path / "mixture")
    assert result.folds == 2
    assert result.overlaps == {"one": pytest.approx(0.25), "two": 0}
    seen = SentenceHashes.load(tmp_path / "mixture" / "sentences.hashes")
    assert seen.contains(["b c a", "b b b", "c c c c"]).tolist() == [True, True, False]
    for fold in (0, 1):
        folder = tmp_path / "mixture" / "folds" / str(fold)
        assert SentenceHashes.load(folder / "sentences.hashes").contains(["a0", "a1"]).tolist() == [
            not fold,
            bool(fold),
        ]
        np.testing.assert_array_equal(load_model(folder).weights, result.mixture.weights)  # type: ignore[attr-defined]


def test_training_refuses_what_makes_no_mixture(members: list[Member], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        _train(members[:1], tmp_path / "mixture")
    with pytest.raises(InputError, match="two members are called 'ngram'"):
        _train([members[0], members[0]], tmp_path / "mixture")
    with pytest.raises(InputError, match="sentence by sentence"):
        _train(members, tmp_path / "mixture", kind="log-linear", carry_state=True)
    with pytest.raises(InputError, match="holds a trained model already"):
        _train(members, tmp_path / "lstm")
    assert validation_log_probs(members, ["a b"]).shape == (2, 3)


def test_a_closed_vocabulary_says_nothing_of_words_that_no_member_knows(tmp_path: Path) -> None:
    """Its 0 for an unknown word would be probability 1 in the mean."""
    charging = ngram(tmp_path / "charging")
    (tmp_path / "closed.arpa").write_text(
        "\\data\\\nngram 1=3\n\n\\1-grams:\n-9\t<s>\n-0.5\t</s>\n-0.2\ta\n\n\\end\\\n"
    )
    closed = NgramModel.load(tmp_path / "closed.arpa")
    mixture = LinearMixture(of(closed, charging), [0.75, 0.25])
    (mixed,) = mixture.token_log_probs(encoded(mixture, ["zebra a"]))
    (alone,) = charging.token_log_probs(encoded(charging, ["zebra a"]))
    assert mixture.charges_unknown
    assert mixed[0] == pytest.approx(alone[0] + np.log(0.25))
    silent = LinearMixture(of(closed, NgramModel.load(tmp_path / "closed.arpa")), [0.5, 0.5])
    assert not silent.charges_unknown
    np.testing.assert_allclose(
        silent.token_log_probs(encoded(silent, ["zebra a"]))[0], np.log(10) * np.array([0, -0.2, -0.5]), atol=1e-6
    )
