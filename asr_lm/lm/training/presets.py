"""Named settings of the neural families: sizes, training and text options that belong together.

A preset stands in for the defaults of the options; whatever is given explicitly overrides it.

The two of Zaremba, Sutskever and Vinyals ("Recurrent neural network regularization", 2014, section 4.1) follow the
paper to the letter, but for one change of units. The paper's loss is summed over the T time steps of a batch and
averaged over its rows; ours is averaged over all tokens, so our gradient is the paper's divided by T. The same steps
are made with the paper's learning rate times T, and with gradients clipped at the paper's norm divided by T.

That of Radford et al. (2018, section 4.1) has the paper's 2,000 steps of warm-up as a share of all steps, and 40,000
merges as the size that OpenAI's vocabulary has with its characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr_lm.errors import InputError


@dataclass(frozen=True)
class Preset:
    """Settings of a family.

    Attributes:
        summary: one line for the help.
        network: sizes, by name of the family's :mod:`asr_lm.lm.sizes`.
        training: by name of :class:`~asr_lm.lm.training.options.TrainingOptions`.
        text: by name of :class:`~asr_lm.lm.training.options.TextOptions`.
    """

    summary: str
    network: Mapping[str, Any]
    training: Mapping[str, Any]
    text: Mapping[str, Any]


_AS_IS = {"normalizer": "as-is", "vocabulary": "words"}
"""Text whose words were chosen by those who published it."""


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


def _sampled(epochs: int) -> dict[str, Any]:
    """Training with sampled noise: small batches, since a step costs little."""
    return {
        "context": "stream",
        "batch_tokens": 500,
        "bptt": 25,
        "epochs": float(epochs),
        "validations": epochs,
        "patience": 0,
        "learning_rate": 2e-3,
    }


PRESETS: dict[str, dict[str, Preset]] = {
    "lstm": {
        "zaremba-small": Preset(
            "2 x 200 units without dropout, SGD (Zaremba et al. 2014, their non-regularised model)",
            {"layers": 2, "embedding": 200, "hidden": 200, "dropout": 0.0, "tied": False},
            _zaremba(steps=20, epochs=13, decay=0.5, decay_after=4, initial_range=0.1),
            _AS_IS,
        ),
        "zaremba-medium": Preset(
            "2 x 650 units, dropout 0.5, SGD (Zaremba et al. 2014, medium)",
            {"layers": 2, "embedding": 650, "hidden": 650, "dropout": 0.5, "tied": False},
            _zaremba(steps=35, epochs=39, decay=1 / 1.2, decay_after=6, initial_range=0.05),
            _AS_IS,
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
            _AS_IS,
        ),
    },
    "nnlm": {
        "ptb": Preset(
            "order 6, 200 x 400, for a million words: noise-contrastive estimation, dropout 0.3",
            {"order": 6, "embedding": 200, "hidden": 400, "dropout": 0.3, "output": "nce", "noise_samples": 500},
            _sampled(epochs=10),
            _AS_IS,
        ),
    },
    "rnnlm": {
        "ptb": Preset(
            "400 units for a million words: noise-contrastive estimation, dropout 0.3, Muon",
            {"hidden": 400, "dropout": 0.3, "output": "nce", "noise_samples": 500},
            {**_sampled(epochs=18), "optimizer": "muon"},
            _AS_IS,
        ),
    },
    "gpt1": {
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
            _AS_IS,
        ),
    },
}
"""By family and name."""


def find_preset(family: str, name: str) -> Preset:
    """The preset of a family.

    Raises:
        InputError: there is none of that name.
    """
    presets = PRESETS.get(family, {})
    if name not in presets:
        there_are = f"there are {', '.join(presets)}" if presets else "it has none"
        raise InputError(f"no preset of {family} is called {name!r}; {there_are}", field="--preset")
    return presets[name]


def described(family: str) -> str:
    """The presets of a family, one a line; empty where it has none."""
    return "\n".join(f"  {name}: {preset.summary}" for name, preset in PRESETS.get(family, {}).items())
