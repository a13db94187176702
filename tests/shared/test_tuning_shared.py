"""Lists of real recognisers with their own scores weighted anew: what any language model has to beat."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.rules.mbr import MinimumBayesRisk
from asr_lm.rescoring.tuning.tune import cross_validate, tune_weights

NBEST = Path(__file__).parents[2] / "../shared/data/nbest"

pytestmark = pytest.mark.skipif(not NBEST.exists(), reason="the shared lists are not here")


def table(name: str) -> FeatureTable:
    return FeatureTable.from_utterances(list(read_nbest(NBEST / name)))


@pytest.fixture(scope="module")
def librispeech() -> tuple[FeatureTable, FeatureTable]:
    return table("librispeech-ctc/dev.jsonl.zst"), table("librispeech-ctc/test.jsonl.zst")


def test_retuned_first_pass_of_librispeech_ctc(librispeech: tuple[FeatureTable, FeatureTable]) -> None:
    dev, test = librispeech
    weights = tune_weights(dev, ["acoustic", "lm", "words"])
    assert weights.dev["first_pass_wer"] == pytest.approx(11.93, abs=0.005)
    assert weights.dev["oracle_wer"] == pytest.approx(7.98, abs=0.005)
    assert test.word_errors(test.lists.starts).rate == pytest.approx(13.21, abs=0.005)
    assert test.word_errors(apply(weights, test).rows).rate == pytest.approx(11.81, abs=0.15)


def test_the_number_of_letters_tells_more(librispeech: tuple[FeatureTable, FeatureTable]) -> None:
    # A CTC score falls with every letter, so short words are favoured until their length has a weight.
    dev, test = librispeech
    weights = tune_weights(dev)
    assert weights.features == ("acoustic", "lm", "words", "characters")
    assert weights.values["characters"] > 0
    assert test.word_errors(apply(weights, test).rows).rate < 11.45


def test_three_weights_hardly_overfit(librispeech: tuple[FeatureTable, FeatureTable]) -> None:
    result = cross_validate(librispeech[0], ["acoustic", "lm", "words"])
    assert len(set(result.folds.tolist())) == 5
    assert -0.1 < result.overfit < 0.3


def test_minimum_bayes_risk_does_no_harm(librispeech: tuple[FeatureTable, FeatureTable]) -> None:
    dev, test = librispeech
    weights = tune_weights(dev)
    risk = MinimumBayesRisk().tune(weights, dev)
    best_rate, risk_rate = (test.word_errors(apply(rule, test).rows).rate for rule in (weights, risk))
    assert best_rate is not None
    assert risk_rate == pytest.approx(best_rate, abs=0.1)


def test_retuned_first_pass_of_atis() -> None:
    weights = tune_weights(table("hyporadise/atis.train.json"), ["am_score", "words"])
    test = table("hyporadise/atis.test.json")
    assert test.word_errors(test.lists.starts).rate == pytest.approx(8.40, abs=0.005)
    assert test.word_errors(apply(weights, test).rows).rate == pytest.approx(7.51, abs=0.15)
