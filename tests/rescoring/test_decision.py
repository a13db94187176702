from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from asr_lm.evaluation.word_errors import count_errors
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.rules.mbr import MinimumBayesRisk, mbr_rows, most_probable, word_distances
from asr_lm.rescoring.rules.scales import SCALES
from asr_lm.rescoring.tuning.tune import tune_weights
from asr_lm.rescoring.weights import Weights

SCORE = Weights(values={"score0": 1.0})


@pytest.fixture
def spoken(build) -> FeatureTable:
    """Lists whose hypotheses share words; some are equal but for white space, some empty."""
    generator = np.random.default_rng(0)
    chooser = random.Random(0)
    lengths = generator.integers(1, 15, 25).tolist()
    texts = [" ".join(chooser.choices("a b cc d", k=chooser.randrange(6))) for _ in range(sum(lengths))]
    texts[3] = texts[2].replace(" ", "  ") + " "
    wrong = count_errors(["a b cc d"] * len(texts), texts)[:, :3].sum(1)
    return build(lengths, generator.standard_normal(len(texts)) - wrong, wrong, texts=texts)


def brute_force(table: FeatureTable, posteriors: np.ndarray) -> list[int]:
    chosen = []
    for start, end in pairwise(table.offsets.tolist()):
        risks = []
        for row in range(start, end):
            counts = count_errors(list(table.texts[start:end]), [table.texts[row]] * (end - start))
            risks.append(float(posteriors[start:end] @ counts[:, :3].sum(1)))
        chosen.append(start + next(i for i, risk in enumerate(risks) if risk <= min(risks) + 1e-9))
    return chosen


@pytest.mark.parametrize("scale", [0.01, 0.3, 2.0])
def test_minimum_bayes_risk_equals_brute_force(scale: float, spoken: FeatureTable) -> None:
    weights = SCORE.replaced(decision="mbr", scale=scale)
    decisions = apply(weights, spoken)
    assert decisions.rows.tolist() == brute_force(spoken, decisions.posteriors)


def test_several_posteriors_at_once_are_one_after_another(spoken: FeatureTable) -> None:
    posteriors = np.stack([spoken.lists.softmax(scale * spoken.values[:, 0]) for scale in (0.1, 1.0, 5.0)])
    together = mbr_rows(spoken, posteriors)
    for row, posterior in zip(together, posteriors, strict=True):
        np.testing.assert_array_equal(row, mbr_rows(spoken, posterior[None])[0])


def test_certain_posteriors_choose_the_best(spoken: FeatureTable) -> None:
    sure = apply(SCORE.replaced(decision="mbr", scale=1e6), spoken)
    for row, best in zip(sure.rows, apply(SCORE, spoken).rows, strict=True):
        assert spoken.texts[row].split() == spoken.texts[best].split()


def test_hand_worked_risk(build) -> None:
    # "a b" is the most probable, but "a c" is one error from everything.
    table = build([3], np.log([[0.4], [0.3], [0.3]]), 0, texts=["a b", "d c", "a c"])
    assert apply(SCORE, table).rows.tolist() == [0]
    assert apply(SCORE.replaced(decision="mbr"), table).rows.tolist() == [2]


def test_equal_texts_share_their_posterior_and_the_first_wins(build) -> None:
    table = build([4], np.log([[0.4], [0.3], [0.3], [0.0001]]), 0, texts=["x", "y", " y ", "x x"])
    assert apply(SCORE.replaced(decision="mbr"), table).rows.tolist() == [1]


def test_ties_go_to_the_first(build) -> None:
    table = build([3], [[1.0], [1.0], [1.0]], 0, texts=["a", "b", "c"])
    assert apply(SCORE, table).rows.tolist() == apply(SCORE.replaced(decision="mbr"), table).rows.tolist() == [0]


def test_mass_keeps_the_most_probable(build) -> None:
    table = build([4, 2], np.zeros((6, 1)), 0)
    posteriors = np.array([0.1, 0.5, 0.3, 0.1, 0.999, 0.001])
    assert most_probable(table.lists, posteriors, 0.79).tolist() == [False, True, True, False, True, False]
    assert most_probable(table.lists, posteriors, 0.5).tolist() == [False, True, False, False, True, False]
    assert most_probable(table.lists, posteriors, 0.85).tolist() == [True, True, True, False, True, False]
    assert most_probable(table.lists, posteriors, 1).all()


def test_a_tiny_mass_leaves_the_best(spoken: FeatureTable) -> None:
    decisions = apply(SCORE.replaced(decision="mbr", mass=1e-9), spoken)
    np.testing.assert_array_equal(decisions.rows, apply(SCORE, spoken).rows)


def test_posteriors_sum_to_one_and_follow_the_scale(spoken: FeatureTable) -> None:
    decisions = apply(SCORE.replaced(scale=0.5), spoken)
    np.testing.assert_allclose(spoken.lists.total(decisions.posteriors), 1)
    first, second = decisions.posteriors[:2]
    assert np.log(first / second) == pytest.approx(0.5 * (decisions.totals[0] - decisions.totals[1]))


def test_order_puts_the_chosen_first_and_the_rest_by_total(build) -> None:
    table = build([3, 3], np.log([[0.4], [0.3], [0.3], [0.2], [0.2], [0.6]]), 0, texts=["a b", "d c", "a c"] * 2)
    decisions = apply(SCORE.replaced(decision="mbr"), table)
    assert decisions.order(table.lists).tolist() == [2, 0, 1, 5, 3, 4]


def test_tuned_scale_is_the_best_of_those_tried(spoken: FeatureTable) -> None:
    weights = tune_weights(spoken)
    tuned = MinimumBayesRisk().tune(weights, spoken)
    assert tuned.decision == "mbr"
    rates = [
        spoken.word_errors(apply(tuned.replaced(scale=factor * weights.scale), spoken).rows).rate for factor in SCALES
    ]
    assert tuned.dev["wer"] == min(rates) == spoken.word_errors(apply(tuned, spoken).rows).rate
    assert tuned.dev["first_pass_wer"] == weights.dev["first_pass_wer"]


def test_word_distances_are_those_of_the_evaluation(spoken: FeatureTable) -> None:
    sentences = [*spoken.texts[:40], "a a a a a a a a", *(f"word{number}" for number in range(60_000))][:60]
    distances = word_distances(sentences)
    pairs = [(one, other) for one in sentences for other in sentences]
    counts = count_errors([one for one, _ in pairs], [other for _, other in pairs])
    np.testing.assert_array_equal(distances.ravel(), counts[:, :3].sum(1))


def test_more_words_than_the_basic_plane_has_characters() -> None:
    sentence = " ".join(f"w{number}" for number in range(0xD800 + 3000))
    assert word_distances([sentence, sentence.replace("w0 ", "")]).tolist() == [[0, 1], [1, 0]]
