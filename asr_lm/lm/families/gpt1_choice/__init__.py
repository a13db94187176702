"""GPT-1 fine-tuned to choose from an n-best list (Radford et al. 2018, section 3.3): its sizes and training.

The equations stand beside the network, in :mod:`asr_lm.lm.families.gpt1_choice.network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from asr_lm.errors import InputError
from asr_lm.lm.families.family import Family
from asr_lm.lm.families.gpt1 import Gpt1Config

ChoiceTarget = Literal["errors", "oracle"]
"""What choosing from a list aims at: few expected errors, or the hypotheses of fewest errors."""


@dataclass(frozen=True)
class Gpt1ChoiceConfig(Gpt1Config):
    """Sizes of a GPT-1 that chooses from n-best lists.

    Attributes:
        target: ``errors``: fewest expected word errors; ``oracle``: cross-entropy with the hypotheses of fewest errors.
        auxiliary: weight of the language model's loss on the references.
    """

    target: ChoiceTarget = field(default="errors", kw_only=True)
    auxiliary: float = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target not in get_args(ChoiceTarget):
            raise InputError(
                f"expected one of {', '.join(get_args(ChoiceTarget))}, not {self.target!r}", field="target"
            )


FAMILY = Family(
    about="GPT-1 fine-tuned to choose from n-best lists (Radford et al. 2018, multiple choice): a linear head on the "
    "last token scores each hypothesis. The score is a feature for rescore and compare, no log-probability.",
    sizes=Gpt1ChoiceConfig,
    network="network.Gpt1ChoiceNetwork",
    model="network.Gpt1ChoiceModel",
    streams=False,
    learns_from="choices",
    training={
        "epochs": 3.0,
        "batch_tokens": 4096,
        "learning_rate": 6.25e-5,
        "schedule": "linear",
        "warmup": 0.002,
        "weight_decay": 0.01,
    },
)
