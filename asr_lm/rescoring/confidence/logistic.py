"""Logistic regression with a penalty on the squares of its weights, by Newton's method.

Here rather than from a library of machine learning, because it is all that would be used of one. One right and one
wrong observation of no evidence are added, so that the intercept is finite where all observations are alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_STEPS = 30
_CLOSE = 1e-4
_FARTHEST = 30.0


def sigmoid(values: Matrix) -> Matrix:
    """``1 / (1 + exp(-values))``; never 0 or 1."""
    return 1.0 / (1.0 + np.exp(-np.clip(values, -_FARTHEST, _FARTHEST)))


def fit_logistic(features: Matrix, right: Matrix, penalty: float = 0.0) -> Matrix:
    """Intercept and weights with the largest penalised likelihood ``[1 + features]``.

    Args:
        features: ``[observations, features]``.
        right: 1 or 0 ``[observations]``.
        penalty: half of it times the square of each weight is added to the negative log-likelihood.
    """
    count, width = features.shape
    design = np.zeros((count + 2, width + 1))
    design[:, 0] = 1.0
    design[:count, 1:] = features
    target = np.concatenate([right, [0.0, 1.0]])
    penalties = np.full(width + 1, penalty)
    penalties[0] = 0.0
    weights = np.zeros(width + 1)
    weights[0] = np.log((target.sum()) / (len(target) - target.sum()))
    loss = _loss(design, target, penalties, weights)
    for _ in range(_STEPS):
        step = _newton_step(design, target, penalties, weights)
        # Halved until it helps: a full step may go too far where the data are almost separable.
        while (found := _loss(design, target, penalties, weights - step)) > loss and np.abs(step).max() > _CLOSE:
            step = step / 2
        weights, loss = weights - step, min(found, loss)
        if np.abs(step).max() <= _CLOSE:
            break
    return weights


def _newton_step(design: Matrix, target: Matrix, penalties: Matrix, weights: Matrix) -> Matrix:
    found = sigmoid(design @ weights)
    gradient = design.T @ (found - target) + penalties * weights
    curvature = (design * (found * (1 - found))[:, None]).T @ design + np.diag(penalties + 1e-9)
    return np.asarray(np.linalg.solve(curvature, gradient))


def _loss(design: Matrix, target: Matrix, penalties: Matrix, weights: Matrix) -> float:
    scores = design @ weights
    return float((np.logaddexp(0.0, scores) - target * scores).sum() + 0.5 * (penalties * weights**2).sum())
