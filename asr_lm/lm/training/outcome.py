"""What a training tells: how far it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from asr_lm.lm.precision import Precision

STILL_LEARNING = 0.002
"""Nats a token that the second half of the validations gains if something is still learnt: 0.2 % of the perplexity."""


@dataclass
class TrainingProgress:
    """What a progress display may show."""

    step: int
    steps: int
    tokens: int
    tokens_per_second: float
    seconds_left: float
    train_loss: float
    valid_loss: float | None
    learning_rate: float
    pseudo: bool = False
    tokens_per_word: float | None = None
    precision: Precision = "float32"
    counts_errors: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Attributes:
        best_loss: validation loss of the weights that are kept, nats a token (or what the network counts).
        best_step: step they were validated at; 0 where no step did better than the initial weights.
        steps, tokens: trained.
        seconds: in all runs.
        stopped_early: whether patience ended it.
        averaged: validations whose weights were averaged; 0 where the best validation's are kept as they are.
        tokens_per_word: of the validation text, as it was given.
        precision: what matrix products were computed in.
        still_learning: whether the epochs were over with the best validation the last one, and better than those of the
            first half by more than :data:`STILL_LEARNING`.
    """

    best_loss: float
    best_step: int
    steps: int
    tokens: int
    seconds: float
    stopped_early: bool
    averaged: int = 0
    tokens_per_word: float | None = None
    precision: Precision = "float32"
    still_learning: bool = False
