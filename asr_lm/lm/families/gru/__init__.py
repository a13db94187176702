"""GRU language model (Cho et al. 2014): its sizes and presets.

The equations stand beside the network, in :mod:`asr_lm.lm.families.gru.network`.
"""

from __future__ import annotations

from dataclasses import dataclass

from asr_lm.lm.families.family import AS_IS, FREQUENT_WORDS, LAPTOP, Family, Preset, sampled_noise
from asr_lm.lm.sizes import RecurrentConfig


@dataclass(frozen=True)
class GruConfig(RecurrentConfig):
    """Sizes of a GRU language model: those of every stack of recurrent layers."""


FAMILY = Family(
    about="GRU recurrent network (Cho et al. 2014).",
    sizes=GruConfig,
    network="network.GruNetwork",
    presets={
        LAPTOP: Preset(
            "256 units for 100,000 to a million words on two cores: noise-contrastive estimation, 4 epochs",
            {"embedding": 256, "hidden": 256, "dropout": 0.2, "output": "nce", "noise_samples": 500},
            sampled_noise(epochs=4),
            FREQUENT_WORDS,
        ),
        "ptb-small": Preset(
            "2 x 200 units for a million words: dropout 0.2, tied embedding, SGD, cosine, 5 epochs",
            {"layers": 2, "embedding": 200, "hidden": 200, "dropout": 0.2, "tied": True},
            {
                "context": "stream",
                "batch_tokens": 700,
                "bptt": 35,
                "epochs": 5.0,
                "validations": 5,
                "patience": 0,
                "optimizer": "sgd",
                "learning_rate": 20.0,
                "clip": 0.25,
                "warmup": 0.0,
            },
            AS_IS,
        ),
    },
)
