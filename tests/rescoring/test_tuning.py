"""Laws of the tuning of weights."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.rescoring.features.table import Column, FeatureTable
from asr_lm.rescoring.tuning.envelope import ErrorCurve
from asr_lm.rescoring.tuning.search import PENALTIES, Bounds, best_step
from asr_lm.rescoring.tuning.tune import UNKNOWN_PENALTY, assign_folds, cross_validate, fitted_scale, tune_weights
from asr_lm.rescoring.weights import Weights


def errors(table: FeatureTable, values: dict[str, float]) -> int:
    return table.word_errors(table.lists.best(Weights(values=values).totals(table))).errors


@pytest.mark.parametrize("seed", range(12))
def test_never_worse_than_a_start(seed: int, draw) -> None:
    generator = np.random.default_rng(seed)
    table = draw(generator, 30, 12, features=4)
    for _ in range(2):
        start = dict(zip(table.names, np.abs(generator.standard_normal(4)).tolist(), strict=True))
        tuned = errors(table, tune_weights(table, seed=seed, restarts=1, starts=[start]).values)
        assert tuned <= errors(table, start)
        assert tuned <= errors(table, {"score0": 1.0, "score1": 1.0, "score2": 1.0})


@pytest.mark.parametrize("seed", range(8))
def test_two_features_reach_the_lowest_of_all_ratios_but_for_steadiness(seed: int, draw) -> None:
    table = draw(np.random.default_rng(seed), 30, 10, features=2)
    lowest = min(
        errors(table, {"score0": np.cos(angle), "words": np.sin(angle)})
        for angle in np.linspace(-np.pi / 2, np.pi / 2, 2001)
    )
    first = table.word_errors(table.lists.starts).errors
    assert lowest <= errors(table, tune_weights(table).values) <= lowest + 0.1 * (first - lowest)


def test_planted_weights_are_found(build) -> None:
    generator = np.random.default_rng(0)
    values = generator.standard_normal((3000, 4))
    hidden = np.array([1.0, 0.5, 2.0, -1.5])
    totals = (values @ hidden).reshape(300, 10)
    wrong = (totals < totals.max(1, keepdims=True)).ravel()
    kinds = {"acoustic": "first-pass", "lm": "first-pass", "m": "model", "words": "length"}
    weights = tune_weights(build([10] * 300, values, wrong, kinds))
    # Three hundred lists leave little room around the hidden weights: almost every choice must be theirs.
    assert weights.dev["wer"] < 0.2
    np.testing.assert_allclose(list(weights.values.values()), hidden, rtol=0.15)


@pytest.mark.parametrize("factor", [2.0**-20, 8.0, 2.0**30])
def test_a_column_in_another_unit_gets_another_weight_and_nothing_else_changes(factor: float, draw) -> None:
    table = draw(np.random.default_rng(1), 60, 12)
    expected = tune_weights(table)
    found = tune_weights(FeatureTable(**(fields(table) | {"values": table.values * [1, 1, factor]})))
    assert found.values["score1"] == pytest.approx(expected.values["score1"])
    assert found.values["words"] * factor == pytest.approx(expected.values["words"])
    assert found.dev == expected.dev


@pytest.mark.parametrize("factor", [2.0**-20, 8.0, 2.0**30])
def test_scaling_all_features_changes_only_the_scale(factor: float, draw) -> None:
    table = draw(np.random.default_rng(1), 60, 12)
    expected, found = (
        tune_weights(table),
        tune_weights(FeatureTable(**(fields(table) | {"values": table.values * factor}))),
    )
    assert found.values == pytest.approx(expected.values)
    assert found.scale * factor == pytest.approx(expected.scale)
    assert found.dev == expected.dev


def test_constants_added_to_a_list_change_nothing(draw) -> None:
    generator = np.random.default_rng(2)
    table = draw(generator, 60, 12)
    # Binary fractions, so that adding whole numbers loses nothing.
    exact = FeatureTable(**(fields(table) | {"values": np.round(table.values * 64) / 64}))
    shift = generator.integers(-1000, 1000, (60, 3))[table.lists.list_of_row]
    moved = FeatureTable(**(fields(exact) | {"values": exact.values + shift}))
    assert tune_weights(moved).values == tune_weights(exact).values


def fields(table: FeatureTable) -> dict[str, object]:
    return {name: getattr(table, name) for name in FeatureTable.__dataclass_fields__}


def test_the_same_seed_gives_the_same_weights(draw) -> None:
    table = draw(np.random.default_rng(4), 50, 10)
    assert tune_weights(table, seed=7) == tune_weights(table, seed=7)


@pytest.mark.parametrize("seed", range(10))
def test_signs_are_kept(seed: int, build) -> None:
    generator = np.random.default_rng(seed)
    wrong = generator.poisson(2, 400)
    # Every column says the opposite of what its sign allows.
    values = wrong[:, None] * [1, 1, -1] + generator.standard_normal((400, 3))
    kinds = {"score": "first-pass", "m": "model", "unknown:m": "unknown"}
    table = build([8] * 50, values, wrong, kinds)
    weights = tune_weights(table, seed=seed).values
    assert weights["score"] >= 0
    assert weights["m"] >= 0
    assert weights["unknown:m"] <= 0
    free = tune_weights(table, seed=seed, signs={"m": -1}).values
    assert free["m"] < 0
    assert errors(table, free) < errors(table, weights)


def test_the_unknown_word_does_not_win_by_being_cheap(build) -> None:
    # The model prefers the hypothesis with <unk>, which is wrong in the lists where that says something.
    values = [[-10.0, -5.0, 1], [-10.1, -8.0, 0]] * 20
    table = build([2] * 20, values, [1, 0] * 20, {"score": "first-pass", "m": "model", "unknown:m": "unknown"})
    weights = tune_weights(table)
    assert weights.dev["wer"] == 0
    assert -5 * weights.values["m"] + weights.values["unknown:m"] < -8 * weights.values["m"]


def test_unknown_words_never_met_get_the_standard_penalty(build) -> None:
    generator = np.random.default_rng(0)
    wrong = generator.poisson(2, 300)
    values = np.column_stack([generator.standard_normal(300), -wrong + generator.standard_normal(300), np.zeros(300)])
    kinds = {"score": "first-pass", "m": "model", "unknown:m": "unknown"}
    weights = tune_weights(build([10] * 30, values, wrong, kinds)).values
    assert weights["m"] > 0
    assert weights["unknown:m"] == -UNKNOWN_PENALTY * weights["m"]


def test_a_feature_that_never_differs_gets_no_weight(build) -> None:
    table = build([2, 2], [[0.0, 7.0], [1.0, 7.0], [1.0, 3.0], [2.0, 3.0]], [1, 0, 2, 1])
    weights = tune_weights(table)
    assert weights.values == {"score0": 1.0, "score1": 0.0}


def test_nothing_to_tell_weights_apart_leaves_the_first_pass(build) -> None:
    table = build([2], [[0.0], [1.0]], [1, 1])
    assert tune_weights(table).values == {"score0": 1.0}


def test_equal_hypotheses_leave_the_first(build) -> None:
    table = build([3], [[1.0], [1.0], [0.0]], [2, 0, 5])
    weights = tune_weights(table)
    assert weights.dev["wer"] == 20
    assert table.lists.best(weights.totals(table)).tolist() == [0]


def test_figures_on_the_development_list(build) -> None:
    table = build([2, 2, 1], [[0.0], [1.0], [0.0], [1.0], [0.0]], [3, 1, 4, 2, 0], reference_words=[10, 10, -1])
    assert tune_weights(table).dev == {"wer": 15, "first_pass_wer": 35, "oracle_wer": 15, "utterances": 2, "words": 20}


def test_the_first_recogniser_score_is_the_unit(draw) -> None:
    table = draw(np.random.default_rng(3), 80, 10)
    assert tune_weights(table, ["words", "score1", "score0"]).values["score1"] == 1
    assert np.linalg.norm(list(tune_weights(table, ["words"]).values.values())) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": []}, "no features to tune"),
        ({"features": ["score0", "x"]}, "no feature 'x' in the table"),
        ({"features": ["words", "words"]}, "'words' is named twice"),
        ({"features": ["words"], "signs": {"score0": 1}}, "a sign is given for 'score0'"),
        ({"features": ["words"], "starts": [{"score0": 1.0}]}, "a start is given for 'score0'"),
    ],
)
def test_bad_requests_are_named(arguments: dict, message: str, draw) -> None:
    with pytest.raises(InputError, match=message):
        tune_weights(draw(np.random.default_rng(0), 5, 5), **arguments)


def test_scale_gives_the_lowest_expected_errors(draw) -> None:
    table = draw(np.random.default_rng(6), 80, 10)
    weights = tune_weights(table)
    totals, wrong = weights.totals(table), table.errors.sum(1)
    telling = table.lists.total(wrong.astype(float)) != wrong[table.lists.starts] * table.lists.lengths
    rows = table.lists.rows_of(np.flatnonzero(telling))
    means = (table.lists.total(totals) / table.lists.lengths)[table.lists.list_of_row]
    spread = np.sqrt(np.mean((totals - means)[rows] ** 2))

    def price(scale: float) -> float:
        expected = (table.lists.softmax(scale * totals) * wrong).sum()
        return float(100 * expected / 800 + PENALTIES[-1] * (scale * spread) ** 2)

    assert weights.scale == fitted_scale(table, weights)
    assert price(weights.scale) <= min(map(price, np.geomspace(0.01, 100, 400) * weights.scale)) * (1 + 1e-6)


def test_best_step_is_the_middle_of_the_widest_low_interval() -> None:
    # A spike of 3 errors at 0.1 to 0.12 is passed over for the wide valley of 4 between 1 and 3.
    curve = ErrorCurve(np.array([0.1, 0.12, 1.0, 3.0]), np.array([9.0, 3.0, 9.0, 4.0, 9.0]))
    assert best_step(curve, -5, 5, limit=9, window=0.3) == 2.0
    assert best_step(curve, -5, 5, limit=9, window=0.01) == pytest.approx(0.11)
    assert best_step(curve, -5, 5, limit=3, window=0.3) == pytest.approx(0.11)
    assert best_step(curve, -5, 5, limit=2, window=0.3) == 0
    # Corners that change nothing do not divide an interval.
    curve = ErrorCurve(np.array([1.0, 1.5, 3.0]), np.array([9.0, 4.0, 4.0, 9.0]))
    assert best_step(curve, -5, 5, limit=9, window=0.3) == 2.0
    assert best_step(curve, 1.2, 1.4, limit=9, window=0.3) == 0


def test_steps_end_at_the_bounds() -> None:
    bounds = Bounds.of([1, -1, 0])
    low, high = bounds.steps(np.array([0.5, -0.2, 0.0]), np.array([1.0, 0.5, 1.0]))
    assert low == pytest.approx(-0.5)
    assert high == pytest.approx(0.4)
    assert bounds.steps(np.array([0.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0])) == (0.0, 0.0)


def test_cross_validation_shows_what_noise_features_win(build) -> None:
    generator = np.random.default_rng(0)
    wrong = generator.poisson(3, 600)
    kinds = {f"noise{i}": "length" for i in range(8)}
    table = build([10] * 60, generator.standard_normal((600, 8)), wrong, kinds)
    result = cross_validate(table, restarts=2)
    chance = 10 * wrong.mean()
    assert result.tuning.rate < 0.85 * chance
    assert result.held_out.rate == pytest.approx(chance, rel=0.12)
    assert result.overfit == result.held_out.rate - result.tuning.rate > 4


def test_cross_validation_of_a_true_feature_flatters_little(draw) -> None:
    result = cross_validate(draw(np.random.default_rng(0), 300, 10, features=2), folds=3)
    assert abs(result.overfit) < 0.1 * result.held_out.rate
    assert result.tuning.sentences == 2 * result.held_out.sentences == 600


def test_held_out_choices_come_from_the_other_folds(draw) -> None:
    table = draw(np.random.default_rng(8), 60, 8)
    result = cross_validate(table, folds=3, seed=5)
    fold = result.folds == 1
    weights = tune_weights(table.select_utterances(~fold), seed=5)
    np.testing.assert_array_equal(result.rows[fold], table.lists.best(weights.totals(table))[fold])


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_folds_keep_recordings_whole_and_balance_words(build, seed: int | None) -> None:
    generator = np.random.default_rng(0)
    recordings = [f"r{number}" for number in generator.integers(0, 40, 300)]
    words = generator.integers(0, 30, 300)
    words[::10] = -1
    table = build([1] * 300, np.zeros(300), 0, reference_words=words.tolist(), recordings=recordings)
    folds = assign_folds(table, 5, seed)
    assert (folds == assign_folds(table, 5, seed)).all()
    assert seed is None or (folds != assign_folds(table, 5)).any()
    assert ((folds == -1) == (words == -1)).all()
    for recording in set(recordings):
        inside = [fold for fold, name in zip(folds, recordings, strict=True) if name == recording and fold >= 0]
        assert len(set(inside)) <= 1
    loads = [words[folds == fold].sum() for fold in range(5)]
    assert max(loads) < (1.1 if seed is None else 1.3) * min(loads)


def test_impossible_folds_are_refused(build) -> None:
    table = build([1, 1, 1], np.zeros(3), 0, recordings=["r", "r", None])
    assert sorted(assign_folds(table, 2).tolist()) in ([0, 0, 1], [0, 1, 1])
    with pytest.raises(InputError, match="3 folds asked for, from 2 to 2"):
        assign_folds(table, 3)
    with pytest.raises(InputError, match="1 folds asked for"):
        assign_folds(table, 1)


def test_utterances_without_reference_are_not_tuned_on(draw) -> None:
    table = draw(np.random.default_rng(9), 40, 8)
    words = table.reference_words.copy()
    words[20:] = -1
    part = FeatureTable(**(fields(table) | {"reference_words": words}))
    assert tune_weights(part).values == tune_weights(table.select_utterances(range(20))).values


def test_columns_keep_their_kind(draw) -> None:
    table = draw(np.random.default_rng(0), 3, 3)
    assert table.kinds(["words", "score0"]) == [Column("words", "length"), Column("score0", "first-pass")]
