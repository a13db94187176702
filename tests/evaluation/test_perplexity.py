"""Perplexity against values worked out by hand, and its comparison across vocabularies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_lm.errors import InputError
from asr_lm.evaluation import perplexity
from asr_lm.evaluation.perplexity import Perplexity, measure
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.loading import load_model
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

BIGRAMS = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-99\t<s>\t-0.5
-0.7\t</s>
-1.2\t<unk>\t-0.1
-0.6\ta\t-0.3
-0.9\tb\t-0.2

\\2-grams:
-0.2\t<s> a
-0.4\ta b
-0.3\tb </s>

\\end\\
"""

SENTENCES = ["the cat sat on the mat", "a dog", "the dog saw the cat", "a mat", "on and on and on", "don't sit there"]


class UniformModel(LanguageModel):
    """Every token of the vocabulary has the same probability, or the one that ``costs`` (nats) give its word."""

    family = "uniform"

    def __init__(
        self, vocabulary: Vocabulary, normalizer: str = "as-is", costs: dict[str, float] | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.normalizer = normalizer
        flat = math.log(vocabulary.size)
        self._costs = np.array([(costs or {}).get(token, flat) for token in vocabulary.tokens])

    def token_log_probs(self, sentences: Sequence[Tokens], budget: int | None = None) -> list[LogProbs]:
        closed = [np.append(sentence, self.vocabulary.eos_id) for sentence in sentences]
        return [-self._costs[sentence] for sentence in closed]

    def fingerprint(self) -> str:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        return 0


@pytest.fixture(scope="module")
def pieces() -> SentencePieceVocabulary:
    return SentencePieceVocabulary.train(SENTENCES * 5, 290)


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("bigram") / "bigram.arpa"
    path.write_text(BIGRAMS)
    return load_model(path)


@pytest.fixture(scope="module")
def recurrent(pieces: SentencePieceVocabulary) -> NeuralLanguageModel:
    torch.manual_seed(1)
    network = LstmNetwork(LstmConfig(vocabulary_size=pieces.size, embedding=6, hidden=6, layers=2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)
    return NeuralLanguageModel("lstm", network, pieces, "as-is")


def one(model: LanguageModel, lines: Iterable[str], *, carry_state: bool = False) -> Perplexity:
    return measure([model], lines, carry_state=carry_state)[0]


class TestByHand:
    """Sums that a reader can check."""

    def test_a_bigram_model(self, bigram: LanguageModel) -> None:
        # a b </s>: -0.2 -0.4 -0.3. b c </s>: back off from <s>, <unk> after backing off from b, </s> from <unk>.
        log10 = -0.2 - 0.4 - 0.3 + (-0.5 - 0.9) + (-0.2 - 1.2) + (-0.1 - 0.7)
        result = one(bigram, ["a b", "b c"])
        assert (result.tokens, result.words, result.sentences, result.unknown) == (6, 6, 2, 1)
        assert result.log_prob == pytest.approx(log10 * math.log(10), rel=1e-6)
        assert result.per_word == result.per_token == pytest.approx(10 ** (-log10 / 6), rel=1e-6)
        known = log10 + 0.2 + 1.2
        assert (result.compared, result.per_compared_word) == (5, pytest.approx(10 ** (-known / 5), rel=1e-6))
        record = result.to_json()
        assert record["oov_rate"] == pytest.approx(25.0)
        assert record["compared_share"] == pytest.approx(100 * 5 / 6)
        assert record["per_word"] == result.per_word

    def test_a_uniform_model_over_pieces(self, pieces: SentencePieceVocabulary) -> None:
        result = one(UniformModel(pieces), SENTENCES)
        tokens = sum(len(pieces.encode(sentence)) + 1 for sentence in SENTENCES)
        words = sum(len(sentence.split()) + 1 for sentence in SENTENCES)
        assert (result.tokens, result.words, result.unknown) == (tokens, words, 0)
        assert result.per_token == pytest.approx(pieces.size)
        assert result.per_word == result.per_compared_word == pytest.approx(pieces.size ** (tokens / words))

    def test_figures_are_sums_over_the_text_not_averages_of_lines(self, bigram: LanguageModel) -> None:
        lines = ["a b", "b", "c c c", "a"]
        parts = [one(bigram, [line]) for line in lines]
        whole = one(bigram, lines)
        for name in ("tokens", "words", "unknown", "compared", "sentences"):
            assert getattr(whole, name) == sum(getattr(part, name) for part in parts)
        assert whole.log_prob == pytest.approx(sum(part.log_prob for part in parts))

    def test_a_perplexity_beyond_all_floats(self, pieces: SentencePieceVocabulary) -> None:
        result = one(UniformModel(pieces), ["\u6771" * 400])
        assert result.per_word == math.inf
        record = result.to_json()
        assert record["per_word"] is None
        assert record["per_token"] == pytest.approx(pieces.size)


class TestComparison:
    """Several models on one text."""

    def test_pieces_and_words_are_measured_over_the_same_positions(self, pieces: SentencePieceVocabulary) -> None:
        by_words = UniformModel(WordVocabulary(["the", "cat", "dog", "a"]))
        by_pieces = UniformModel(pieces)
        words, spelled = measure([by_words, by_pieces], SENTENCES)
        assert words.words == spelled.words == sum(len(sentence.split()) + 1 for sentence in SENTENCES)
        assert words.unknown > 0 == spelled.unknown
        known = sum(word in by_words.vocabulary for line in SENTENCES for word in line.split()) + len(SENTENCES)
        assert words.compared == spelled.compared == known < words.words
        assert words.per_compared_word == pytest.approx(by_words.vocabulary.size)
        tokens = sum(len(pieces.encode(w)) for line in SENTENCES for w in line.split() if w in by_words.vocabulary)
        assert spelled.per_compared_word == pytest.approx(pieces.size ** ((tokens + len(SENTENCES)) / known))

    def test_alone_or_in_company_only_the_compared_positions_change(self, pieces: SentencePieceVocabulary) -> None:
        by_words, by_pieces = UniformModel(WordVocabulary(["the", "cat"])), UniformModel(pieces)
        together = measure([by_words, by_pieces], SENTENCES)[1]
        alone = one(by_pieces, SENTENCES)
        assert (alone.per_word, alone.per_token) == (together.per_word, together.per_token)
        assert alone.compared == alone.words > together.compared

    def test_a_position_unknown_to_any_model_is_left_out_for_all(self) -> None:
        costs = {"a": 1.0, "b": 2.0, "c": 4.0, "<unk>": 100.0, "</s>": 8.0}
        first = UniformModel(WordVocabulary(["a", "b"]), costs=costs)
        second = UniformModel(WordVocabulary(["b", "c"]), costs=costs)
        results = measure([first, second], ["a b c", "b b"])
        for result, total in zip(results, (1 + 2 + 100 + 8 + 12, 100 + 2 + 4 + 8 + 12), strict=True):
            assert result.compared == 3 + 2
            assert result.compared_log_prob == pytest.approx(-(2 + 8 + 2 + 2 + 8))
            assert result.log_prob == pytest.approx(-total)
            assert result.unknown == 1

    def test_every_model_applies_its_own_normaliser(self) -> None:
        vocabulary = WordVocabulary(["hello", "world", "Hello,"])
        models = [UniformModel(vocabulary), UniformModel(vocabulary, "librispeech")]
        plain, english = measure(models, ["Hello,  world!"])
        assert (plain.unknown, english.unknown) == (1, 0)
        assert plain.words == english.words == 3
        assert plain.compared == english.compared == 2

    def test_normalisers_that_disagree_on_words_are_refused(self) -> None:
        vocabulary = WordVocabulary(["well", "known"])
        models = [UniformModel(vocabulary), UniformModel(vocabulary, "librispeech")]
        with pytest.raises(InputError, match="different numbers of words: 'a well-known one'"):
            measure(models, ["fine", "a well-known one"])


class TestText:
    """What counts as a sentence."""

    @pytest.mark.parametrize("lines", [[], ["", "  ", "\t"]])
    def test_a_text_without_sentences_is_refused(self, bigram: LanguageModel, lines: list[str]) -> None:
        with pytest.raises(InputError, match="no sentence in the text"):
            one(bigram, lines)

    def test_lines_of_which_nothing_is_left_are_left_out(self) -> None:
        model = UniformModel(WordVocabulary(["a"]), "librispeech")
        result = one(model, ["a", "", "...", " ", "A?"])
        assert (result.sentences, result.words) == (2, 4)

    def test_a_normaliser_that_loses_letters_is_told(self) -> None:
        model = UniformModel(WordVocabulary(["a"]), "librispeech")
        told: list[str] = []
        measure([model], ["a house", "a дом", *["a"] * 500], warn=told.append)
        assert len(told) == 1
        assert "in 1 of 502 lines, such as 'a дом'; 'unicode' keeps them" in told[0]
        measure([model], ["a", "a дом", *["a"] * 998], warn=told.append)
        assert len(told) == 1

    def test_a_text_of_which_most_is_lost_is_refused(self) -> None:
        model = UniformModel(WordVocabulary(["a"]), "librispeech")
        with pytest.raises(InputError, match=r"loses 6\d\.\d % of the letters.*'unicode' keeps them"):
            measure([model], ["hello добрый", "", "добрый день and so"])

    def test_nul_is_white_space_to_every_model(self, bigram: LanguageModel) -> None:
        plain, split = one(bigram, ["a b"]), one(bigram, ["a\0b\0"])
        assert plain == split

    def test_blocks_change_nothing(
        self, bigram: LanguageModel, recurrent: NeuralLanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = ["a b", "", "b c", "a", "b b a"]
        whole = [measure([bigram], lines), measure([recurrent], SENTENCES, carry_state=True)]
        monkeypatch.setattr(perplexity, "_BLOCK", 2)
        parts = [measure([bigram], lines), measure([recurrent], SENTENCES, carry_state=True)]
        for (one_block,), (many,) in zip(whole, parts, strict=True):
            assert many.log_prob == pytest.approx(one_block.log_prob)
            assert (many.tokens, many.words) == (one_block.tokens, one_block.words)

    def test_the_budget_changes_nothing(self, recurrent: NeuralLanguageModel) -> None:
        (whole,), (small,) = measure([recurrent], SENTENCES), measure([recurrent], SENTENCES, budget=3)
        assert small.log_prob == pytest.approx(whole.log_prob, rel=1e-5)


class TestCarriedState:
    """Sentences read in order, as one text."""

    def by_hand(self, model: NeuralLanguageModel, sentences: Sequence[str]) -> float:
        """Log-probability by one forward pass over the whole text."""
        inputs: list[int] = []
        targets: list[int] = []
        for ids in model.vocabulary.encode_batch(sentences):
            inputs += [model.vocabulary.bos_id, *ids.tolist()]
            targets += [*ids.tolist(), model.vocabulary.eos_id]
        with torch.inference_mode():
            hidden, _ = model.network(torch.tensor([inputs]))
            return -float(model.network.output.nll(hidden[0], torch.tensor(targets)).double().sum())

    def test_it_is_one_long_forward_pass(self, recurrent: NeuralLanguageModel) -> None:
        lines = SENTENCES * 30
        assert sum(map(len, recurrent.vocabulary.encode_batch(lines))) > 1024
        carried = one(recurrent, lines, carry_state=True)
        assert carried.log_prob == pytest.approx(self.by_hand(recurrent, lines), rel=1e-5)

    def test_without_it_every_sentence_begins_afresh(self, recurrent: NeuralLanguageModel) -> None:
        fresh = one(recurrent, SENTENCES)
        alone = [self.by_hand(recurrent, [sentence]) for sentence in SENTENCES]
        assert fresh.log_prob == pytest.approx(sum(alone), rel=1e-5)
        assert abs(fresh.log_prob - one(recurrent, SENTENCES, carry_state=True).log_prob) > 0.01

    def test_a_second_measurement_begins_afresh_too(self, recurrent: NeuralLanguageModel) -> None:
        first = one(recurrent, SENTENCES, carry_state=True)
        assert one(recurrent, SENTENCES, carry_state=True) == first

    def test_a_model_without_state_is_refused(self, bigram: LanguageModel) -> None:
        with pytest.raises(InputError, match="'ngram' has no state"):
            one(bigram, ["a"], carry_state=True)


class PseudoModel(UniformModel):
    """Scores that are pseudo-log-likelihoods."""

    @property
    def pseudo(self) -> bool:
        return True


class TestPseudoPerplexity:
    def test_it_goes_by_its_own_name(self) -> None:
        (result,) = measure([PseudoModel(WordVocabulary(["a", "b"]))], ["a b b", "a c"])
        assert result.pseudo
        assert result.per_token == result.per_word == pytest.approx(5)
        record = result.to_json()
        assert record["pseudo_per_token"] == record["pseudo_per_word"] == pytest.approx(5)
        assert record["pseudo_log_likelihood"] == pytest.approx(-7 * math.log(5))
        assert (record["words"], record["unknown_words"], record["oov_rate"]) == (7, 1, pytest.approx(20))
        assert not [name for name in record if "compared" in name or name.startswith("per_") or name == "log_prob"]

    def test_it_is_compared_with_nothing(self) -> None:
        (result,) = measure([PseudoModel(WordVocabulary(["a", "b"]))], ["a b b"])
        with pytest.raises(InputError, match="a pseudo-perplexity compares with no perplexity"):
            _ = result.per_compared_word

    def test_what_others_are_compared_over_is_not_for_it_to_say(self) -> None:
        models = [UniformModel(WordVocabulary(words)) for words in (["a", "b"], ["a"])]
        lines = ["a b b", "a"]
        alone = measure(models, lines)
        beside = measure([models[0], PseudoModel(WordVocabulary(["b"])), models[1]], lines)
        assert [beside[0], beside[2]] == alone
        assert (beside[1].compared, alone[0].compared) == (0, 4)
