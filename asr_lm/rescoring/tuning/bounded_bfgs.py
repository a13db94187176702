"""Minimising a smooth function of a few variables within bounds.

Broyden, Fletcher, Goldfarb and Shanno's method with the inverse Hessian kept whole, projected on the bounds
(Bertsekas, Projected Newton Methods, SIAM J. Control 1982): variables at a bound that the gradient presses against
are held, a step is cut at the bounds, and its length is halved until the function falls enough (Armijo's condition).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]

SUFFICIENT_DECREASE = 1e-4
SHORTEST_STEP = 1e-6


def minimize(
    function: Callable[[Point], tuple[float, Point]],
    start: Point,
    low: Point,
    high: Point,
    *,
    iterations: int = 100,
    tolerance: float = 1e-6,
) -> Point:
    """A local minimum of ``function``, never above its value at ``start``.

    Args:
        function: gives value and gradient ``[variables]`` at a point.
        start: where to begin ``[variables]``; moved into the bounds.
        low, high: bounds of each variable ``[variables]``, infinite where there is none.
        iterations: most steps taken.
        tolerance: stop when a step lowers the value by less than this share of ``1 + |value|``.
    """
    point = np.clip(start, low, high)
    value, gradient = function(point)
    inverse = np.eye(len(point)) / max(1.0, float(np.linalg.norm(gradient)))
    for _ in range(iterations):
        direction = _direction(point, gradient, inverse, low, high)
        if not direction.any():
            break
        new, new_value, new_gradient = _search(function, point, value, gradient, direction, low, high)
        if new_value >= value:
            break
        inverse = _updated(inverse, new - point, new_gradient - gradient)
        fall = value - new_value
        point, value, gradient = new, new_value, new_gradient
        if fall < tolerance * (1.0 + abs(value)):
            break
    return point


def _direction(point: Point, gradient: Point, inverse: NDArray[np.float64], low: Point, high: Point) -> Point:
    """Quasi-Newton direction of the variables that are free to move; the others get 0."""
    free = ~((point <= low) & (gradient > 0) | (point >= high) & (gradient < 0))
    if free.all():
        direction = -inverse @ gradient
    else:
        direction = np.zeros_like(point)
        direction[free] = -inverse[np.ix_(free, free)] @ gradient[free]
    return direction if direction @ gradient < 0 else np.where(free, -gradient, 0.0)


def _search(
    function: Callable[[Point], tuple[float, Point]],
    point: Point,
    value: float,
    gradient: Point,
    direction: Point,
    low: Point,
    high: Point,
) -> tuple[Point, float, Point]:
    step = 1.0
    while True:
        new = np.minimum(np.maximum(point + step * direction, low), high)
        new_value, new_gradient = function(new)
        enough = new_value <= value + SUFFICIENT_DECREASE * float(gradient @ (new - point))
        if enough or step < SHORTEST_STEP:
            return new, new_value, new_gradient
        step /= 2


def _updated(inverse: NDArray[np.float64], moved: Point, turned: Point) -> NDArray[np.float64]:
    """The BFGS update; left out where the curvature along the step is not positive."""
    curvature = float(moved @ turned)
    if curvature <= 1e-12:
        return inverse
    column = moved[:, None]
    shear = np.eye(len(moved)) - column * turned / curvature
    return shear @ inverse @ shear.T + column * moved / curvature
