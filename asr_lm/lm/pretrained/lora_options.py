"""What a LoRA adapter is asked to be.

Kept apart from the code that needs torch, so that a command can show its options at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from asr_lm.errors import InputError

ALL_LINEAR = "all-linear"
"""Every linear layer but the output layer (Dettmers et al. 2023, QLoRA, section 4)."""

USUAL = "usual"
"""The layers that ``peft`` has for the type of model: two projections of the attention in most of them."""


@dataclass(frozen=True)
class LoraOptions:
    """Sizes and places of the matrices that learn beside a frozen model.

    Attributes:
        lora_rank: Rank of what is added to a weight matrix.
        lora_alpha: What is added is multiplied by this number over the rank.
        lora_dropout: Share of a layer's input that what is added does without in training.
        lora_targets: The layers: all-linear, every linear layer but the output layer; usual, those that peft has for
            the type of model; or names of modules, q_proj v_proj for example.

    Raises:
        InputError: a value that makes no sense.
    """

    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] = (ALL_LINEAR,)

    def __post_init__(self) -> None:
        for name in ("lora_rank", "lora_alpha"):
            if getattr(self, name) < 1:
                raise InputError(f"expected a number above 0, not {getattr(self, name)}", field=name)
        if not (math.isfinite(self.lora_dropout) and 0 <= self.lora_dropout < 1):
            raise InputError(f"expected a share from 0 to less than 1, not {self.lora_dropout}", field="lora_dropout")
        if not self.lora_targets or not all(self.lora_targets):
            raise InputError("expected at least one name", field="lora_targets")

    @property
    def target_modules(self) -> str | list[str] | None:
        """The layers as ``peft`` takes them."""
        if self.lora_targets == (USUAL,):
            return None
        return ALL_LINEAR if self.lora_targets == (ALL_LINEAR,) else list(self.lora_targets)
