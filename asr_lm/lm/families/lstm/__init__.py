"""LSTM language model (Sundermeyer, Schlüter, Ney 2012): its sizes and presets.

The equations stand beside the network, in :mod:`asr_lm.lm.families.lstm.network`.

The two presets of Zaremba, Sutskever and Vinyals ("Recurrent neural network regularization", 2014, section 4.1) follow
the paper to the letter, but for one change of units. The paper's loss is summed over the T time steps of a batch and
averaged over its rows; ours is averaged over all tokens, so our gradient is the paper's divided by T. The same steps
are made with the paper's learning rate times T, and with gradients clipped at the paper's norm divided by T.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from asr_lm.lm.families.family import AS_IS, FREQUENT_WORDS, LAPTOP, Family, Preset, sampled_noise
from asr_lm.lm.sizes import RecurrentConfig


@dataclass(frozen=True)
class LstmConfig(RecurrentConfig):
    """Sizes of an LSTM language model: those of every stack of recurrent layers, and how it is kept from overfitting.

    Attributes:
        recurrent_dropout: Share of the weights between a layer's states dropped in training, drawn once a batch.
        variational: Drop the same units at all time steps of a batch, instead of drawing them anew at each.
    """

    recurrent_dropout: float = field(default=0.0, kw_only=True)
    variational: bool = field(default=False, kw_only=True)


def _zaremba(steps: int, epochs: int, decay: float, decay_after: int, initial_range: float) -> dict[str, Any]:
    """Training of the paper: 20 rows, learning rate 1 and gradients clipped at 5 in its units."""
    return {
        "context": "stream",
        "batch_tokens": 20 * steps,
        "bptt": steps,
        "epochs": float(epochs),
        "validations": epochs,
        "patience": 0,
        "optimizer": "sgd",
        "learning_rate": 1.0 * steps,
        "clip": 5.0 / steps,
        "schedule": "step",
        "decay": decay,
        "decay_after": float(decay_after),
        "warmup": 0.0,
        "initial_range": initial_range,
    }


FAMILY = Family(
    about="LSTM recurrent network (Sundermeyer, Schlüter, Ney 2012).",
    sizes=LstmConfig,
    network="network.LstmNetwork",
    presets={
        "zaremba-small": Preset(
            "2 x 200 units without dropout, SGD (Zaremba et al. 2014, their non-regularised model)",
            {"layers": 2, "embedding": 200, "hidden": 200, "dropout": 0.0, "tied": False},
            _zaremba(steps=20, epochs=13, decay=0.5, decay_after=4, initial_range=0.1),
            AS_IS,
        ),
        "zaremba-medium": Preset(
            "2 x 650 units, dropout 0.5, SGD (Zaremba et al. 2014, medium)",
            {"layers": 2, "embedding": 650, "hidden": 650, "dropout": 0.5, "tied": False},
            _zaremba(steps=35, epochs=39, decay=1 / 1.2, decay_after=6, initial_range=0.05),
            AS_IS,
        ),
        LAPTOP: Preset(
            "256 units for 100,000 to a million words on two cores: noise-contrastive estimation, 4 epochs",
            {"embedding": 256, "hidden": 256, "dropout": 0.2, "output": "nce", "noise_samples": 500},
            sampled_noise(epochs=4),
            FREQUENT_WORDS,
        ),
        "ptb-small": Preset(
            "2 x 200 units for a million words: dropout 0.2, tied embedding, SGD, cosine",
            {"layers": 2, "embedding": 200, "hidden": 200, "dropout": 0.2, "tied": True},
            {
                "context": "stream",
                "batch_tokens": 700,
                "bptt": 35,
                "epochs": 14.0,
                "validations": 14,
                "optimizer": "sgd",
                "learning_rate": 20.0,
                "clip": 0.25,
                "warmup": 0.0,
            },
            AS_IS,
        ),
    },
)
