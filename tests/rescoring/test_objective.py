"""The smooth objective and its minimiser."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.rescoring.tuning.bounded_bfgs import minimize
from asr_lm.rescoring.tuning.objective import Objective


@pytest.mark.parametrize("seed", range(5))
def test_gradient_equals_numerical(seed, draw) -> None:
    generator = np.random.default_rng(seed)
    table = draw(generator, 20, 9)
    objective = Objective.of(table, table.names)
    point = generator.standard_normal(3)
    _, gradient = objective.expected_rate(point)
    step = 1e-6
    for axis in np.eye(3):
        difference = objective.expected_rate(point + step * axis)[0] - objective.expected_rate(point - step * axis)[0]
        assert gradient @ axis == pytest.approx(difference / (2 * step), abs=1e-5)


def test_expected_rate_by_hand(build) -> None:
    # Spread of (0, 2) is 1, so one unit of weight makes the totals 0 and 2.
    table = build([2], [[0.0], [2.0]], [4, 1])
    value, _ = Objective.of(table, table.names).expected_rate(np.array([1.0]))
    posterior = 1 / (1 + np.exp(-2.0))
    assert value == pytest.approx(10 * (4 * (1 - posterior) + posterior))


def test_certain_posteriors_give_the_errors_of_the_best(draw) -> None:
    table = draw(np.random.default_rng(3), 30, 12)
    objective = Objective.of(table, table.names)
    point = np.array([0.7, 0.4, -0.2])
    assert objective.expected_rate(1e6 * point)[0] == pytest.approx(
        100 * objective.error_count(point) / objective.reference_words
    )


def test_lists_without_a_choice_keep_their_errors(build) -> None:
    table = build([2, 1, 2], [[0.0], [1.0], [5.0], [0.0], [1.0]], [3, 3, 2, 0, 1])
    objective = Objective.of(table, table.names)
    assert len(objective.lists.lengths) == 1
    assert objective.error_count(np.array([1.0])) == 6
    assert objective.error_count(np.array([-1.0])) == 5


def test_no_reference_is_refused(build) -> None:
    table = build([1], [[0.0]], [0], reference_words=[-1])
    with pytest.raises(InputError, match="no reference with a word to tune on"):
        Objective.of(table, table.names)


def test_minimum_of_a_quadratic_within_bounds() -> None:
    matrix = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 4.0]])
    centre = np.array([1.0, -2.0, 0.5])

    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        return float((point - centre) @ matrix @ (point - centre)), 2 * matrix @ (point - centre)

    free = np.full(3, np.inf)
    found = minimize(function, np.zeros(3), -free, free, tolerance=1e-14)
    np.testing.assert_allclose(found, centre, atol=1e-5)
    # With the second variable held at 0, the others solve the equations that remain.
    found = minimize(function, np.ones(3), np.zeros(3), free, tolerance=1e-14)
    assert found[1] == 0
    _, gradient = function(found)
    np.testing.assert_allclose(gradient[[0, 2]], 0, atol=1e-4)
    assert gradient[1] > 0


def test_minimiser_solves_rosenbrock() -> None:
    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        x, y = point
        value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
        return value, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])

    free = np.full(2, np.inf)
    found = minimize(function, np.array([-1.2, 1.0]), -free, free, iterations=500, tolerance=1e-14)
    np.testing.assert_allclose(found, [1, 1], atol=1e-4)
