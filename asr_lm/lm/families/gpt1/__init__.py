"""Transformer decoder language model as in GPT-1 (Radford et al. 2018): its sizes and presets.

The equations stand beside the network, in :mod:`asr_lm.lm.families.gpt1.network`.

The preset of Radford et al. (section 4.1) has the paper's 2,000 steps of warm-up as a share of all steps, and 40,000
merges as the size that OpenAI's vocabulary has with its characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from asr_lm.errors import InputError
from asr_lm.lm.families.family import AS_IS, FREQUENT_WORDS, LAPTOP, Family, Preset
from asr_lm.lm.sizes import NetworkConfig


@dataclass(frozen=True)
class Gpt1Config(NetworkConfig):
    """Sizes of a transformer decoder as in GPT-1.

    Attributes:
        layers: Number of blocks.
        width: Size of the hidden vectors.
        heads: Attention heads of a block; they divide the width.
        positions: Longest context, in tokens.
        dropout: Share dropped of embeddings and residual branches in training.
        attention_dropout: Share dropped of attention weights in training; 0 is faster.

    Raises:
        InputError: sizes that make no network.
    """

    layers: int = 6
    width: int = 384
    heads: int = 6
    positions: int = 512
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise InputError(f"{self.heads} heads do not divide a width of {self.width}", field="heads")


FAMILY = Family(
    about="Transformer decoder (Radford et al. 2018).",
    sizes=Gpt1Config,
    network="network.Gpt1Network",
    model="network.Gpt1Model",
    presets={
        "openai": Preset(
            "12 layers of 768, 40,000 BPE merges (Radford et al. 2018); for a GPU and a billion words",
            {"layers": 12, "width": 768, "heads": 12, "positions": 512, "dropout": 0.1},
            {
                "context": "stream",
                "batch_tokens": 64 * 512,
                "bptt": 512,
                "epochs": 100.0,
                "validations": 100,
                "patience": 0,
                "learning_rate": 2.5e-4,
                "warmup": 0.001,
                "weight_decay": 0.01,
            },
            {"vocabulary": "bpe", "vocabulary_size": 40_478},
        ),
        LAPTOP: Preset(
            "2 layers of 128 for 100,000 to a million words on two cores: Muon, 3 epochs",
            {"layers": 2, "width": 128, "heads": 4, "positions": 128, "dropout": 0.1, "attention_dropout": 0.0},
            {
                "context": "stream",
                "batch_tokens": 512,
                "bptt": 64,
                "epochs": 3.0,
                "validations": 3,
                "patience": 0,
                "optimizer": "muon",
                "learning_rate": 4e-3,
                "epsilon": 1e-3,
                "warmup": 0.02,
            },
            FREQUENT_WORDS,
        ),
        "ptb-small": Preset(
            "3 layers of 200 for a million words: Muon, dropout 0.2, noisy input, windows that grow",
            {"layers": 3, "width": 200, "heads": 4, "positions": 512, "dropout": 0.2, "attention_dropout": 0.0},
            {
                "context": "stream",
                "batch_tokens": 2048,
                "bptt": 512,
                "short_windows": 0.7,
                "input_noise": 0.15,
                "epochs": 14.0,
                "validations": 14,
                "patience": 0,
                "optimizer": "muon",
                "learning_rate": 4e-3,
                "epsilon": 1e-3,
                "warmup": 0.01,
                "weight_decay": 0.1,
            },
            AS_IS,
        ),
    },
)
