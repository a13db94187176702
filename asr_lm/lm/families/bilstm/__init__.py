"""Bidirectional LSTM language model: every word predicted from both sides. Its sizes.

The papers and the equations stand beside the network, in :mod:`asr_lm.lm.families.bilstm.network`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from asr_lm.errors import InputError
from asr_lm.lm.families.family import FREQUENT_WORDS, LAPTOP, Family, Preset
from asr_lm.lm.sizes import NetworkConfig

Combination = Literal["joint", "sum"]
"""Ways to combine two directions: one softmax over both, or two language models."""


@dataclass(frozen=True)
class BilstmConfig(NetworkConfig):
    """Sizes of a bidirectional LSTM language model.

    Attributes:
        embedding: Width of the embedding.
        hidden: Units of each LSTM layer of each direction.
        layers: Number of LSTM layers of each direction.
        dropout: Share of the non-recurrent connections dropped in training.
        tied: Use the embedding as output weights; needs embedding == hidden.
        combine: joint: one softmax over both sides, scored by pseudo-log-likelihood; sum: a forward and a
            backward language model, scored by their mean log-probability.

    Raises:
        InputError: sizes that make no network.
    """

    embedding: int = 512
    hidden: int = 512
    layers: int = 1
    dropout: float = 0.0
    tied: bool = True
    combine: Combination = "joint"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.combine not in get_args(Combination):
            raise InputError(
                f"expected one of {', '.join(get_args(Combination))}, not {self.combine!r}", field="combine"
            )
        if self.tied and self.embedding != self.hidden:
            raise InputError(
                f"tied embeddings need as many units as the embedding is wide, not {self.hidden} and {self.embedding}",
                field="tied",
            )


FAMILY = Family(
    about="Bidirectional LSTM: every word from both sides.",
    sizes=BilstmConfig,
    network="network.BilstmNetwork",
    model="network.BidirectionalModel",
    streams=False,
    presets={
        LAPTOP: Preset(
            "128 units a direction for 100,000 to a million words on two cores: 2 epochs",
            {"embedding": 128, "hidden": 128, "dropout": 0.1},
            {
                "batch_tokens": 256,
                "epochs": 2.0,
                "validations": 4,
                "patience": 0,
                "learning_rate": 2e-3,
            },
            FREQUENT_WORDS,
        ),
    },
)
