"""Simple recurrent network language model (Mikolov et al. 2010, 2011): its sizes and presets.

The equations stand beside the network, in :mod:`asr_lm.lm.families.rnnlm.network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asr_lm.lm.families.family import AS_IS, FREQUENT_WORDS, LAPTOP, Family, Preset, sampled_noise
from asr_lm.lm.sizes import OutputConfig, OutputKind


@dataclass(frozen=True)
class RnnlmConfig(OutputConfig):
    """Sizes of a simple recurrent network language model.

    Attributes:
        hidden: Sigmoid units, and width of the embedding.
        dropout: Share of the non-recurrent connections dropped in training.
    """

    output: OutputKind = field(default="class", kw_only=True)
    hidden: int = 200
    dropout: float = 0.0


FAMILY = Family(
    about="Simple recurrent network (Mikolov et al. 2010, 2011).",
    sizes=RnnlmConfig,
    network="network.RnnlmNetwork",
    presets={
        LAPTOP: Preset(
            "256 units for 100,000 to a million words on two cores: noise-contrastive estimation, Muon, 5 epochs",
            {"hidden": 256, "dropout": 0.1, "output": "nce", "noise_samples": 500},
            {**sampled_noise(epochs=5), "optimizer": "muon", "learning_rate": 4e-3},
            FREQUENT_WORDS,
        ),
        "ptb": Preset(
            "400 units for a million words: noise-contrastive estimation, dropout 0.3, Muon",
            {"hidden": 400, "dropout": 0.3, "output": "nce", "noise_samples": 500},
            {**sampled_noise(epochs=18), "optimizer": "muon"},
            AS_IS,
        ),
    },
)
