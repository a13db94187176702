"""How far a training has come: the numbers that a checkpoint keeps beside its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Counters:
    """The numbers of a training under way.

    Attributes:
        step: steps made.
        epoch: passes over the text that are complete.
        position: batches read of the pass under way.
        tokens: tokens learnt from.
        loss_sum: training loss since the last validation, nats.
        loss_tokens: the tokens (or other units) it is the sum over.
        seconds: time spent.
        factor: what the schedule plateau has made of the learning rate.
        best_loss: lowest validation loss, nats a token; infinite before the first validation.
        best_step: the step it was measured at.
        failures: validations since then.
        curve: what each validation found, as ``training.jsonl`` has it.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    tokens: int = 0
    loss_sum: float = 0.0
    loss_tokens: int = 0
    seconds: float = 0.0
    factor: float = 1.0
    best_loss: float = math.inf
    best_step: int = 0
    failures: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """By name; infinity, which is no number to JSON, is None."""
        return {**asdict(self), "best_loss": None if math.isinf(self.best_loss) else self.best_loss}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Counters:
        """What :meth:`to_json` gave.

        Raises:
            LookupError: one is missing.
            TypeError: one is of another type.
        """
        values = {item.name: facts[item.name] for item in fields(cls)}
        if values["best_loss"] is None:
            values["best_loss"] = math.inf
        for name, default in vars(cls()).items():
            expected = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(values[name], expected) or isinstance(values[name], bool):
                raise TypeError(f"{name} is {values[name]!r}")
        return cls(**values)
