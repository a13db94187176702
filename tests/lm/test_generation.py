"""Laws of generation: what is drawn, how often, and that its probabilities are the model's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from causal_laws import assert_continuations
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.errors import InputError
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionModel, BirnnAttentionNetwork
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.ngram import NgramModel
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.generation import GeneratedText, Sampling, draw, generate
from asr_lm.lm.mixtures.linear import LinearMixture
from asr_lm.lm.mixtures.log_linear import LogLinearMixture
from asr_lm.lm.mixtures.members import Member
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.protocol import LanguageModel, Ranker
from asr_lm.lm.training.options import TextOptions
from asr_lm.lm.training.recipe import train_ngram_model
from asr_lm.text.vocabulary import SentencePieceVocabulary, Vocabulary, WordVocabulary

WORDS = WordVocabulary(["a", "b", "c", "d"])
SHORT = Sampling(longest=10)
TEXT = ["a b", "b c a", "a", "c c b a d", "b", "a b c", "c a d", "b b"] * 3

ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-0.4\t</s>
-99\t<s>\t-0.2
-0.6\ta\t-0.1
-0.7\tb\t-0.3
-0.9\tc

\\2-grams:
-0.2\t<s> a
-0.3\ta b
-0.1\tb </s>

\\end\\
"""


def lstm(vocabulary: Vocabulary = WORDS, seed: int = 1) -> NeuralLanguageModel:
    torch.manual_seed(seed)
    network = LstmNetwork(LstmConfig(vocabulary.size, embedding=6, hidden=6))
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return NeuralLanguageModel("lstm", network, vocabulary, "as-is")


def corrector() -> BirnnAttentionModel:
    torch.manual_seed(2)
    network = BirnnAttentionNetwork(BirnnAttentionConfig(WORDS.size, 6, 5, 4, 6))
    return BirnnAttentionModel("birnn-attention", network.eval(), WORDS, "as-is")


def pieces() -> SentencePieceVocabulary:
    return SentencePieceVocabulary.train(["good day to you", "a bad day for me", "day after day"] * 20, 300)


@pytest.fixture(scope="module")
def ngram(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.txt").write_text("\n".join(TEXT))
    text = TextOptions((folder / "text.txt",), None, "as-is", "words")
    train_ngram_model(text, folder / "ngram", order=2, binary=False)
    return NgramModel.load(folder / "ngram")


class TestWhatMayFollow:
    """Whole distributions; those of single networks are in the laws of their families."""

    def test_of_an_ngram_model(self, ngram: NgramModel) -> None:
        assert_continuations(ngram, [[], [3], [3, 4], [0], [6, 6, 5]], 1e-6)
        values = np.exp(ngram.next_log_probs([np.array([3, 4], np.int32)])[0])
        assert values.sum() - values[ngram.vocabulary.bos_id] == pytest.approx(1, abs=1e-6)

    def test_of_a_bare_file_all_words(self, tmp_path: Path) -> None:
        (tmp_path / "m.arpa").write_text(ARPA)
        model = NgramModel.load(tmp_path / "m.arpa")
        (values,) = model.next_log_probs([np.zeros(0, np.int32)])
        told = dict(zip(model.vocabulary.tokens, values.tolist(), strict=True))
        assert set(told) == {"<unk>", "<s>", "</s>", "a", "b", "c"}
        assert told["<unk>"] == told["<s>"] == -math.inf
        assert told["a"] == pytest.approx(-0.2 * math.log(10), rel=1e-6)
        assert told["b"] == pytest.approx(-0.9 * math.log(10), rel=1e-6)

    def test_of_mixtures(self, ngram: NgramModel) -> None:
        networks = [Member(str(seed), lstm(seed=seed)) for seed in (1, 2)]
        prefixes = [[], [3], [4, 5, 0, 3]]
        assert_continuations(LinearMixture(networks, [0.3, 0.7]), prefixes, 1e-5)
        assert_continuations(LogLinearMixture(networks, [0.5, 0.9]), prefixes, 1e-4)
        with_ngram = LinearMixture([Member("n", ngram), Member("l", lstm(ngram.vocabulary))], [0.3, 0.7])
        assert_continuations(with_ngram, prefixes, 1e-5)
        by_word = LinearMixture([Member("words", lstm()), Member("pieces", lstm(pieces()))], [0.5, 0.5])
        with pytest.raises(InputError, match="mixes its members word by word"):
            by_word.next_log_probs([np.zeros(0, np.int32)])

    def test_given_a_list(self) -> None:
        model = corrector()
        (source,) = model.sources([["a b", "c b"]])
        prefixes = [np.array(ids, np.int32) for ids in ([], [3], [4, 4, 5])]
        for prefix, values in zip(prefixes, model.next_log_probs_given(source, prefixes), strict=True):
            longer = [np.append(prefix, token).astype(np.int32) for token in range(WORDS.size)]
            (expected,) = model.token_log_probs_given([source], [longer])
            np.testing.assert_allclose(values, [row[len(prefix)] for row in expected], atol=1e-5)
            assert np.exp(values).sum() == pytest.approx(1, abs=1e-5)

    def test_of_models_that_see_what_follows_there_is_nothing(self) -> None:
        family = FAMILIES["bilstm"]
        network = family.make_network(family.sizes(vocabulary_size=WORDS.size, embedding=4, hidden=4))
        model = family.model_class()("bilstm", network, WORDS, "as-is")
        assert isinstance(model, LanguageModel)
        with pytest.raises(InputError, match="family 'bilstm' cannot be asked for one word after another"):
            generate(model)


class TestDraws:
    """One token."""

    LOG_PROBS = np.log([0.1, 0.05, 0.4, 0.25, 0.2])

    def drawn(self, sampling: Sampling, forbidden: tuple[int, ...] = (), count: int = 20_000) -> np.ndarray:
        random = np.random.default_rng(1)
        counts = np.bincount([draw(self.LOG_PROBS, sampling, random, forbidden) for _ in range(count)], minlength=5)
        return counts / count

    def test_as_often_as_the_distribution_says(self) -> None:
        np.testing.assert_allclose(self.drawn(Sampling()), np.exp(self.LOG_PROBS), atol=0.012)

    @pytest.mark.parametrize("temperature", [0.5, 3.0])
    def test_a_temperature_is_a_power(self, temperature: float) -> None:
        expected = np.exp(self.LOG_PROBS) ** (1 / temperature)
        np.testing.assert_allclose(self.drawn(Sampling(temperature)), expected / expected.sum(), atol=0.012)

    def test_among_the_most_probable(self) -> None:
        expected = np.array([0, 0, 0.4, 0.25, 0.2]) / 0.85
        np.testing.assert_allclose(self.drawn(Sampling(top_k=3)), expected, atol=0.012)

    def test_never_what_is_forbidden(self) -> None:
        expected = np.array([0.1, 0.05, 0, 0.25, 0.2]) / 0.6
        np.testing.assert_allclose(self.drawn(Sampling(), (2,)), expected, atol=0.012)

    @given(
        log_probs=st.lists(st.floats(-50, 0), min_size=2, max_size=9),
        sampling=st.sampled_from([Sampling(0), Sampling(top_k=1), Sampling(1e-300), Sampling(7.5, top_k=1)]),
        seed=st.integers(0, 99),
    )
    def test_greedy(self, log_probs: list[float], sampling: Sampling, seed: int) -> None:
        token = draw(np.array(log_probs), sampling, np.random.default_rng(seed))
        # exp(-745) is 0 in float64: what lies below the best by more temperatures than that is never drawn.
        behind = 0.0 if sampling.top_k == 1 else 745 * sampling.temperature
        assert max(log_probs) - log_probs[token] <= behind

    def test_nothing_to_draw(self) -> None:
        with pytest.raises(InputError, match="no word a probability"):
            draw(np.array([0.0, -np.inf]), Sampling(), np.random.default_rng(0), [0])

    @pytest.mark.parametrize(
        ("options", "parameter"),
        [
            *(({"temperature": value}, "temperature") for value in (-1.0, math.nan, math.inf)),
            ({"top_k": 0}, "top_k"),
            ({"longest": 0}, "longest"),
            ({"seed": -1}, "seed"),
        ],
    )
    def test_what_is_no_sampling(self, options: dict[str, float], parameter: str) -> None:
        with pytest.raises(InputError) as caught:
            Sampling(**options)  # type: ignore[arg-type]
        assert caught.value.parameter == parameter


def assert_scores_are_the_models_own(model: LanguageModel, texts: list[GeneratedText], prompt: str) -> None:
    begin = len(model.encode([prompt])[0])
    for text in texts:
        (values,) = model.token_log_probs([text.tokens])
        written = values[begin:] if text.ended else values[begin:-1]
        assert text.log_prob == pytest.approx(written.sum(), abs=1e-4)
        assert text.text == model.vocabulary.decode(text.tokens.tolist())


class TestTexts:
    """Whole texts."""

    @pytest.mark.parametrize("prompt", ["", "a b", "a x"])
    @pytest.mark.parametrize("sampling", [Sampling(longest=15), Sampling(0, longest=6), Sampling(2.0, 3, 5, longest=8)])
    def test_probabilities_are_the_models_own(self, ngram: NgramModel, prompt: str, sampling: Sampling) -> None:
        for model in (ngram, lstm(), lstm(pieces())):
            texts = generate(model, prompt, number=4, sampling=sampling)
            assert_scores_are_the_models_own(model, texts, prompt)
            assert all(
                text.ended or len(text.tokens) == len(model.encode([prompt])[0]) + sampling.longest for text in texts
            )

    def test_of_whole_texts_the_scores_are_those_of_score_tokens(self, ngram: NgramModel) -> None:
        texts = generate(ngram, number=10)
        assert all(text.ended for text in texts)
        np.testing.assert_allclose([text.log_prob for text in texts], ngram.score_tokens([t.tokens for t in texts]))

    def test_every_word_has_its_probability(self) -> None:
        model = lstm()
        for text in generate(model, "a b", number=5, sampling=SHORT):
            values = model.token_log_probs([text.tokens])[0][2:]
            expected = [*text.text.split()[2:], *(["</s>"] if text.ended else [])]
            assert list(text.words) == expected
            np.testing.assert_allclose(text.log_probs, values[: len(expected)], atol=1e-5)

    def test_pieces_of_a_word_are_one_word(self) -> None:
        model = lstm(pieces())
        for text in generate(model, "good", number=8, sampling=Sampling(longest=30)):
            words = [word for word in text.words if word != "</s>"]
            told, whole = " ".join(words).split(), text.text.split()
            assert told == whole[len(whole) - len(told) :]
            # The prompt's word may have been gone on with.
            assert len(whole) - len(told) in (0, 1)

    def test_greedy_is_the_most_probable_every_time(self, ngram: NgramModel) -> None:
        for model in (ngram, lstm()):
            (text,) = generate(model, sampling=Sampling(0, longest=12))
            ids = [*text.tokens.tolist(), *([model.vocabulary.eos_id] if text.ended else [])]
            for position, token in enumerate(ids):
                (values,) = model.next_log_probs([np.array(ids[:position], np.int32)])
                values[[model.vocabulary.unk_id, model.vocabulary.bos_id]] = -np.inf
                assert values[token] == values.max()
            assert generate(model, sampling=Sampling(top_k=1, longest=12))[0].text == text.text

    def test_the_seed_decides(self) -> None:
        model = lstm()
        texts = [text.text for text in generate(model, number=8, sampling=SHORT)]
        assert [text.text for text in generate(model, number=8, sampling=SHORT)] == texts
        assert [text.text for text in generate(model, number=3, sampling=SHORT)] == texts[:3]
        assert [text.text for text in generate(model, number=8, sampling=Sampling(seed=1, longest=10))] != texts
        assert len(set(texts)) > 1

    def test_frequencies_are_the_models_probabilities(self, ngram: NgramModel) -> None:
        """What begins texts, among all words but the unknown one."""
        texts = generate(ngram, number=4000, sampling=Sampling(longest=1))
        counts = {word: sum(text.words[0] == word for text in texts) / 4000 for word in ngram.vocabulary.tokens}
        (values,) = np.exp(ngram.next_log_probs([np.zeros(0, np.int32)]))
        values[[ngram.vocabulary.unk_id, ngram.vocabulary.bos_id]] = 0
        for word, share in zip(ngram.vocabulary.tokens, values / values.sum(), strict=True):
            assert counts[word] == pytest.approx(share, abs=0.03)

    def test_a_corrector_writes_given_a_list(self) -> None:
        model, heard = corrector(), ["a b", "c b"]
        (source,) = model.sources([heard])
        texts = generate(model, number=4, sampling=Sampling(longest=15), heard=heard)
        ended = [text for text in texts if text.ended]
        assert ended
        (values,) = model.token_log_probs_given([source], [[text.tokens for text in ended]])
        np.testing.assert_allclose([text.log_prob for text in ended], [row.sum() for row in values], atol=1e-3)
        (greedy,) = generate(model, sampling=Sampling(0), heard=heard)
        ((written,),) = model.write([source], width=1)
        length = min(len(greedy.tokens), len(written.tokens))
        assert greedy.tokens[:length].tolist() == written.tokens[:length].tolist()

    def test_a_prompt_that_is_no_text(self) -> None:
        with pytest.raises(InputError, match="half of a surrogate pair") as caught:
            generate(lstm(), "a \udcff")
        assert caught.value.parameter == "prompt"

    def test_lists_have_chances_of_their_own(self) -> None:
        """A model that finds all tokens equally probable writes the same for two lists only by the same noise."""
        model = corrector()
        for parameter in model.network.parameters():
            torch.nn.init.zeros_(parameter)
        lists = [["a b"], ["c b"], ["a b"]]
        one, other, again = (
            [text.tokens.tolist() for text in generate(model, number=5, sampling=SHORT, heard=heard)] for heard in lists
        )
        assert one == again
        assert one != other

    @pytest.mark.parametrize(
        ("model", "heard", "complaint"),
        [(corrector, None, "give it a list"), (corrector, [], "give it a list"), (lstm, ["a"], "leave it out")],
    )
    def test_lists_that_are_missing_or_of_no_use(
        self, model: type[Ranker], heard: list[str] | None, complaint: str
    ) -> None:
        with pytest.raises(InputError, match=complaint) as caught:
            generate(model(), heard=heard)
        assert caught.value.parameter == "nbest"
