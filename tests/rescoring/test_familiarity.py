"""A model that does not know the words of a list gets no packaged weight."""

from __future__ import annotations

import numpy as np
import pytest

import asr_lm
from asr_lm import Hypothesis, Utterance
from asr_lm.rescoring.scoring.familiarity import FEWEST_LETTERS, LETTER_PAIRS, is_familiar
from tests.rescoring.counting_model import counting
from tests.rescoring.noted_progress import Noted

GERMAN = ["die fähre zum hafen fährt um neun uhr morgens ab", "bitte mach das licht in der küche an"] * 5
ENGLISH = ["the ferry to the harbour leaves at nine in the morning", "please turn on the lights in the kitchen"] * 5
CHINESE = ["今天 天气 很 好", "我们 明天 去 北京"] * 5
RUSSIAN = ["паром в порт отходит в девять утра", "она никогда не видела такой большой собаки"] * 5


def listed(texts: list[str]) -> list[Utterance]:
    """Each text behind one that lacks its last word."""
    return [
        Utterance(f"u{n}", tuple(Hypothesis(heard, {"am": -20.0 - r}) for r, heard in enumerate((text[:-2], text))))
        for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize("texts", [CHINESE, RUSSIAN, GERMAN], ids=["chinese", "russian", "german"])
def test_texts_of_another_language_stay_as_they_are(texts: list[str]) -> None:
    heard = Noted()
    result = asr_lm.rescore(listed(texts), "default", progress=heard)
    assert result.tuned.weights.values == {"first_pass_total": 1.0, "words": 0.0, "characters": 0.0, "default": 0.0}
    assert [one.hypotheses[0].text for one in result.utterances] == [text[:-2] for text in texts]
    assert heard.warnings[-1] == "the model 'default' does not know the words of this list, so it gets no weight"


def test_english_texts_have_the_packaged_weight() -> None:
    heard = Noted()
    assert asr_lm.rescore(listed(ENGLISH), "default", progress=heard).tuned.weights.values["default"] > 0
    assert not heard.warnings


def test_the_models_that_know_the_words_share_the_weight() -> None:
    known = counting("known", tuple({word for text in CHINESE for word in text.split()}))
    alone = asr_lm.rescore(listed(CHINESE), known).tuned.weights.values
    both = asr_lm.rescore(listed(CHINESE), [asr_lm.load("default"), known]).tuned.weights.values
    assert both == {**alone, "default": 0.0}


class TestJudged:
    """By unknown words, and an open vocabulary by the cost of a letter."""

    @pytest.mark.parametrize(("cost", "familiar"), [(LETTER_PAIRS - 0.01, True), (LETTER_PAIRS + 0.01, False)])
    @pytest.mark.parametrize("is_open", [True, False])
    def test_by_letters(self, cost: float, familiar: bool, is_open: bool) -> None:
        model = counting("m", ("a",), is_open=is_open).model
        texts = ["a" * (FEWEST_LETTERS - 1)]
        assert is_familiar(model, texts, np.array([-cost * FEWEST_LETTERS]), 0.0) is (familiar or not is_open)
        assert is_familiar(model, [texts[0][1:]], np.array([-9.0 * FEWEST_LETTERS]), 0.0)

    def test_other_scripts_are_not_measured(self) -> None:
        model = counting("m", ("a",), is_open=True).model
        assert is_familiar(model, ["好" * FEWEST_LETTERS], np.array([-9.0 * FEWEST_LETTERS]), 0.0)

    def test_by_unknown_words(self) -> None:
        model = counting("m", ("a",), is_open=True).model
        assert is_familiar(model, ["a"], np.zeros(1), 0.6)
        assert not is_familiar(model, ["a"], np.zeros(1), 0.61)
