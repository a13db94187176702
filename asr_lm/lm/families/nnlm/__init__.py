"""Feed-forward neural network language model (Bengio, Ducharme, Vincent, Jauvin 2003): its sizes and presets.

The equations stand beside the network, in :mod:`asr_lm.lm.families.nnlm.network`.
"""

from __future__ import annotations

from dataclasses import dataclass

from asr_lm.errors import InputError
from asr_lm.lm.families.family import AS_IS, FREQUENT_WORDS, LAPTOP, Family, Preset, sampled_noise
from asr_lm.lm.sizes import OutputConfig


@dataclass(frozen=True)
class NnlmConfig(OutputConfig):
    """Sizes of a feed-forward network language model.

    Attributes:
        order: n; a word is predicted from the n-1 words before it.
        embedding: Width of the embedding.
        hidden: Tanh units.
        direct: Connect the embeddings straight to the output too.
        dropout: Share of the embeddings and of the hidden units dropped in training.
        tied: Use the embedding as output weights, behind a projection where the widths differ; needs an output that is
            not factored.

    Raises:
        InputError: sizes that make no network.
    """

    order: int = 5
    embedding: int = 100
    hidden: int = 200
    direct: bool = False
    dropout: float = 0.0
    tied: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order < 2:
            raise InputError(f"expected at least 2 (one word before), not {self.order}", field="order")
        if self.tied and self.output in ("class", "adaptive"):
            raise InputError(f"the output {self.output!r} cannot be tied to the embedding", field="tied")


FAMILY = Family(
    about="Feed-forward network (Bengio, Ducharme, Vincent, Jauvin 2003).",
    sizes=NnlmConfig,
    network="network.NnlmNetwork",
    presets={
        LAPTOP: Preset(
            "order 5, 128 x 256, for 100,000 to a million words on two cores: noise-contrastive estimation, 4 epochs",
            {"order": 5, "embedding": 128, "hidden": 256, "dropout": 0.2, "output": "nce", "noise_samples": 500},
            sampled_noise(epochs=4),
            FREQUENT_WORDS,
        ),
        "ptb": Preset(
            "order 6, 200 x 400, for a million words: noise-contrastive estimation, dropout 0.3",
            {"order": 6, "embedding": 200, "hidden": 400, "dropout": 0.3, "output": "nce", "noise_samples": 500},
            sampled_noise(epochs=10),
            AS_IS,
        ),
    },
)
