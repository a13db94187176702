"""How a model goes on learning from the text it reads (:mod:`asr_lm.lm.scoring.dynamic_evaluation`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asr_lm.errors import InputError


@dataclass(frozen=True)
class Learning:
    """How a model learns from what it reads.

    Attributes:
        rate: of the gradient of a sentence's summed log-probability; with a text, of that over its root mean square.
        text: sentences of the training text, some thousand are enough; gradients on them scale every weight's steps
            (Krause et al. 2018). Without, plain stochastic gradient descent.
        decay: with a text, how far a sentence draws the weights back to where they began, from 0 to 1.

    Raises:
        InputError: no rate above 0; a decay outside of 0 to 1, or one without a text.
    """

    rate: float
    text: Sequence[str] = ()
    decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf"):
            raise InputError(f"expected a learning rate above 0, not {self.rate}", parameter="dynamic")
        if not 0 <= self.decay <= 1:
            raise InputError(f"expected 0 to 1, not {self.decay}", parameter="dynamic_decay")
        if self.decay and not self.text:
            raise InputError("expected a training text, which scales it", parameter="dynamic_text")
