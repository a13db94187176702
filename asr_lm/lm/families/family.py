"""What a family of networks declares about itself: sizes, network, presets.

A family is a folder. Its ``__init__.py`` holds the declaration, ``FAMILY``, and imports no torch, which takes seconds:
so a command can show the options of a family at once. Its ``network.py`` holds the network beside the equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from asr_lm.lm.sizes import NetworkConfig

if TYPE_CHECKING:
    from asr_lm.lm.neural import Network, NeuralModel

Material = Literal["text", "pairs"]
"""What a family learns from: text, or pairs of a list's hypotheses and its reference."""

AS_IS = {"normalizer": "as-is", "vocabulary": "words"}
"""Text options for text whose words were chosen by those who published it."""

FREQUENT_WORDS = {"vocabulary": "words", "vocabulary_size": 10_000}
"""Text options for any text, with an output that is quick to compute."""

LAPTOP = "laptop"
"""Preset of every family that learns from text: decent after minutes of two cores, on 100,000 to a million words."""


@dataclass(frozen=True)
class Preset:
    """Settings that belong together; what is given beside a preset overrides it.

    Attributes:
        summary: one line for the help.
        network: sizes of the family.
        training: by name of :class:`~asr_lm.lm.training.options.TrainingOptions`.
        text: by name of :class:`~asr_lm.lm.training.options.TextOptions`.
    """

    summary: str
    network: Mapping[str, Any]
    training: Mapping[str, Any]
    text: Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A neural family.

    Attributes:
        about: what it is, for the help.
        sizes: class of its sizes.
        network: its network's class as ``MODULE.CLASS`` in the folder of the family.
        model: class of the language model around the network, in the same form; None for
            :class:`~asr_lm.lm.neural.NeuralLanguageModel`.
        presets: named settings.
        training: training options of the family where they are not those of
            :class:`~asr_lm.lm.training.options.TrainingOptions`.
        streams: whether it can be trained on text read as a stream; False for networks that need whole sentences.
        learns_from: what it is trained on.
    """

    about: str
    sizes: type[NetworkConfig]
    network: str
    model: str | None = None
    presets: Mapping[str, Preset] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    streams: bool = True
    learns_from: Material = "text"

    def make_network(self, config: NetworkConfig) -> Network:
        """A freshly initialised network."""
        return self.network_class()(config)

    def network_class(self) -> type[Network]:
        """Its class, which takes the sizes."""
        network: type[Network] = self._find(self.network)
        return network

    def model_class(self) -> type[NeuralModel]:
        """The language model around the network."""
        if self.model is None:
            from asr_lm.lm.neural import NeuralLanguageModel

            return NeuralLanguageModel
        model: type[NeuralModel] = self._find(self.model)
        return model

    def _find(self, place: str) -> Any:
        module, name = place.split(".")
        return getattr(import_module(f"{self.sizes.__module__}.{module}"), name)


def sampled_noise(epochs: int) -> dict[str, Any]:
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
