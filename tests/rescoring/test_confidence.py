"""Confidences: posteriors of words, their calibration on held-out folds, and what they leave as it is."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from counting_model import counting
from hypothesis import given, settings
from hypothesis import strategies as st
from test_second_pass import RIGHT, WRONG, spoken

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.confidence.agreement import Agreement, right_words
from asr_lm.rescoring.confidence.calibration import Calibration, Curve, calibrate
from asr_lm.rescoring.confidence.confidences import Confidences, with_confidences
from asr_lm.rescoring.confidence.evidence import Chosen, Evidence
from asr_lm.rescoring.confidence.logistic import fit_logistic, sigmoid
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.scoring.models import feature_table
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Measuring, Scoring
from asr_lm.rescoring.systems import systems_for_rescore
from asr_lm.rescoring.weights import Weights

CONFIDENT = Scoring(confidence=True)
texts = st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(texts, st.randoms(use_true_random=False))
def test_a_word_of_all_hypotheses_has_posterior_one_and_no_word_more(lists: list[list[str]], random: object) -> None:
    weights = np.array([random.random() + 0.01 for _ in lists])  # type: ignore[attr-defined]
    agreement = Agreement.of(lists[0], lists)
    found = agreement.posteriors(weights)
    own = weights[0] / weights.sum()
    assert ((own - 1e-12 <= found) & (found <= 1)).all()
    everywhere = agreement.same.all(0)
    assert found[everywhere] == pytest.approx(1.0)
    assert (agreement.alternatives[everywhere] == 0).all()
    assert (found[~everywhere] < 1).all()


def test_posteriors_worked_by_hand() -> None:
    heard = [text.split() for text in ("a bad cat", "the bad cat", "a bad", "a bed cat")]
    agreement = Agreement.of(heard[0], heard)
    assert agreement.posteriors(np.array([0.4, 0.3, 0.2, 0.1])) == pytest.approx([0.7, 0.9, 0.8])
    assert agreement.alternatives.tolist() == [1, 1, 1]


def test_words_at_a_place_add_up_to_one() -> None:
    heard = [text.split() for text in ("a cat", "the cat", "this cat")]
    weights = np.array([0.5, 0.3, 0.2])
    first = [Agreement.of(words, heard).posteriors(weights)[0] for words in heard]
    assert sum(first) == pytest.approx(1.0)


def test_right_words_are_those_of_the_alignment() -> None:
    assert right_words(["a", "b", "c"], ["a", "x", "c", "d"]).tolist() == [True, False, True, False]


def evidence_of(values: np.ndarray) -> Evidence:
    return Evidence(("evidence",), values[:, None], np.arange(len(values)), len(values))


def noisy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=count)
    return values, generator.random(count) < sigmoid(1 + 1.5 * values)


def test_a_calibration_finds_the_probabilities_behind_the_evidence() -> None:
    values, right = noisy(4000, 1)
    found, held_out = calibrate(evidence_of(values), right, np.arange(4000) % 5)
    truth = sigmoid(1 + 1.5 * values)
    assert np.abs(found.confidences(evidence_of(values)) - truth).mean() < 0.03
    assert np.abs(held_out - truth).mean() < 0.03


def test_evidence_that_says_nothing_gives_the_base_rate() -> None:
    values, _ = noisy(2000, 2)
    right = np.arange(2000) % 10 != 0
    found, _ = calibrate(evidence_of(values), np.random.default_rng(0).permutation(right), np.arange(2000) % 5)
    assert found.confidences(evidence_of(values)) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("right", [True, False])
def test_where_all_is_right_or_all_wrong_confidences_stay_within_bounds(right: bool) -> None:
    values, _ = noisy(50, 3)
    found, _ = calibrate(evidence_of(values), np.full(50, right), np.arange(50) % 5)
    confidence = found.confidences(evidence_of(values))
    assert ((confidence > 0) & (confidence < 1)).all()
    assert ((confidence > 0.5) == right).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_is_monotone(seed: int) -> None:
    values, right = noisy(60, seed)
    found, _ = calibrate(evidence_of(values), right if seed % 2 else ~right, np.arange(60) % 3)
    raw = np.linspace(-20, 20, 101)
    assert (np.diff(found.calibrated(raw)) >= 0).all()


def test_unknown_evidence_counts_as_its_mean() -> None:
    values, right = noisy(500, 4)
    found, _ = calibrate(evidence_of(values), right, np.arange(500) % 5)
    curve = found.curves[0]
    assert curve.basis(np.array([np.nan])).tolist() == curve.basis(np.array([curve.mean])).tolist()


def test_a_calibration_needs_the_evidence_it_was_fitted_on() -> None:
    values, right = noisy(100, 5)
    found, _ = calibrate(evidence_of(values), right, np.arange(100) % 5)
    other = Evidence(("other",), values[:, None], np.arange(100), 100)
    with pytest.raises(InputError, match="calibrated with 'evidence'"):
        found.confidences(other)


def test_the_logistic_weights_are_at_the_minimum() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(300, 3))
    right = (generator.random(300) < sigmoid(features @ [1, -1, 0.5])).astype(np.float64)
    weights = fit_logistic(features, right, 2.0)
    design = np.vstack([np.column_stack([np.ones(300), features]), np.eye(1, 4), np.eye(1, 4)])
    gradient = design.T @ (sigmoid(design @ weights) - np.append(right, [0, 1])) + 2.0 * np.append(0, weights[1:])
    assert gradient == pytest.approx(np.zeros(4), abs=1e-3)


def run(dev: list[Utterance], test: list[Utterance], scoring: Scoring, **measuring: str) -> Rescored:
    """Rescored with a model that says nothing: all words cost the same."""
    models = [counting("model", (*RIGHT, *WRONG))]
    how = Measuring(**measuring)  # type: ignore[arg-type]
    tuned = tune(dev, models, systems_for_rescore(["model"]), scoring=scoring, measuring=how)
    return Rescored.concatenate(list(rescore(test, models, tuned, scoring=scoring, measuring=how)))


def test_confidences_change_no_text_and_no_score() -> None:
    dev, test = spoken(40, 1), spoken(30, 2, "t")
    with_them, without = run(dev, test, CONFIDENT), run(dev, test, Scoring())
    assert without.confidence_quality() is None
    for sure, plain in zip(with_them.utterances, without.utterances, strict=True):
        assert sure.confidence is not None
        assert len(sure.hypotheses[0].confidences or ()) == len(sure.hypotheses[0].text.split())
        first = msgspec.structs.replace(sure.hypotheses[0], confidences=None)
        assert msgspec.structs.replace(sure, confidence=None, hypotheses=(first, *sure.hypotheses[1:])) == plain


def test_confidences_tell_right_words_from_wrong_ones_on_other_lists() -> None:
    quality = run(spoken(150, 1), spoken(150, 2, "t"), CONFIDENT).confidence_quality()
    assert quality is not None
    assert quality.nce is not None
    assert quality.nce > 0.1
    assert quality.ece < 0.1


def test_confidences_of_another_pass_do_not_stay() -> None:
    test = spoken(30, 2, "t")
    old = Confidences(tuple((0.5,) * len(found.hypotheses[0].text.split()) for found in test), (0.5,) * len(test))
    again = run(spoken(40, 1), list(with_confidences(test, old)), Scoring())
    assert all(utterance.confidence is None for utterance in again.utterances)
    assert all(found.confidences is None for utterance in again.utterances for found in utterance.hypotheses)


def test_characters_have_confidences_where_they_are_counted() -> None:
    rescored = run(spoken(40, 1), spoken(30, 2, "t"), CONFIDENT, unit="character")
    for utterance in rescored.utterances:
        assert len(utterance.hypotheses[0].confidences or ()) == len("".join(utterance.hypotheses[0].text.split()))


def test_a_saved_calibration_gives_the_same_confidences(tmp_path: object) -> None:
    path = f"{tmp_path}/weights.json"
    models = [counting("model", (*RIGHT, *WRONG))]
    tuned = tune(spoken(40, 1), models, systems_for_rescore(["model"]), scoring=CONFIDENT)
    tuned.save(path)
    assert Weights.load(path).calibration == tuned.weights.calibration


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"slope": -1.0}, "not negative"),
        ({"intercept": float("inf")}, "finite"),
        ({"curves": (Curve("a", 0.0, 1.0, (0.5,), (1.0,)),)}, "one slope more"),
        ({"curves": (Curve("a", 0.0, 0.0, (), (1.0,)),)}, "scale above 0"),
    ],
)
def test_impossible_calibrations_are_refused(change: dict[str, object], message: str) -> None:
    good = Calibration(unit="word", curves=(), intercept=0.0, slope=1.0, offset=0.0)
    good.check("weights.json")
    with pytest.raises(InputError, match=message):
        msgspec.structs.replace(good, **change).check("weights.json")


def test_evidence_of_an_empty_text_is_empty() -> None:
    heard = [Utterance("u", (Hypothesis("", {"acoustic": -1.0}), Hypothesis("a", {"acoustic": -2.0})))]
    table = feature_table(heard, [])
    found = Chosen(table, table.column("acoustic"), np.array([0]), [[]], [[], ["a"]], {}).evidence()
    assert found.values.shape[0] == 0
