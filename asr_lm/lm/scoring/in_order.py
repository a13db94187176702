"""A text read in order by one model, as well as the model can: with its state carried over, or learning from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from asr_lm.lm.protocol import LanguageModel, LogProbs, Tokens
from asr_lm.lm.scoring.learning import Learning

Read = Callable[[Sequence[Tokens]], list[LogProbs]]
"""From the next sentences of a text to the log-probabilities of their tokens."""


def read_in_order(
    model: LanguageModel, *, carry_state: bool = True, learning: Learning | None = None, budget: int | None = None
) -> Read:
    """How a model reads consecutive sentences.

    Args:
        model: which.
        carry_state: carry its state from sentence to sentence, where it has one.
        learning: how it learns from a sentence once it is scored; None: it does not.
        budget: of sentences that are read by themselves (:meth:`~asr_lm.lm.protocol.Ranker.score_tokens`).

    Raises:
        InputError: it is to learn and cannot, or learns nothing from the text of ``learning``.
    """
    carry_state = carry_state and model.has_state
    if learning is not None:
        return model.learning_reader(learning, carry_state=carry_state).token_log_probs
    return model.stream().token_log_probs if carry_state else partial(model.token_log_probs, budget=budget)
