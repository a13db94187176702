"""Sizes that networks have in common: what ``config.json`` keeps beside the weights.

Each family adds its own in its folder (:mod:`asr_lm.lm.families`). Kept apart from the networks, which need torch, so
that a command can show its options at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from asr_lm.errors import InputError

OutputKind = Literal["full", "class", "adaptive", "nce"]
"""Output layers: full softmax, factored by word classes, adaptive softmax, full with noise-contrastive training."""


BEFORE = "before"
"""Key of a field's metadata: what networks had before the field was there, where that is not its default."""

LARGEST_SIZE = 1 << 24
"""Of a vocabulary, a layer or a context."""

MOST_LAYERS = 1000


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes every network has.

    Attributes:
        vocabulary_size: Number of token ids.

    Raises:
        InputError: a whole number that is none, not above 0, or above :data:`LARGEST_SIZE` (layers:
            :data:`MOST_LAYERS`), a switch that is neither true nor false, a share that
            is not from 0 to less than 1.
    """

    vocabulary_size: int

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type == "int" and not (type(value) is int and value > 0):
                raise InputError(f"expected a whole number above 0, not {value!r}", field=item.name)
            largest = MOST_LAYERS if item.name == "layers" else LARGEST_SIZE
            if item.type == "int" and value > largest:
                raise InputError(f"expected at most {largest:,}, not {value:,}", field=item.name)
            if item.type == "bool" and not isinstance(value, bool):
                raise InputError(f"expected true or false, not {value!r}", field=item.name)
            if item.type == "float" and not (type(value) in (int, float) and 0 <= value < 1):
                raise InputError(f"expected a share from 0 to less than 1, not {value!r}", field=item.name)


@dataclass(frozen=True)
class OutputConfig(NetworkConfig):
    """Sizes of a network that ends in a distribution over the vocabulary.

    Attributes:
        output: full: one softmax; class: factored by frequency-binned word classes (Mikolov et al. 2011);
            adaptive softmax (Grave et al. 2017); nce: full, trained by noise-contrastive estimation.
        classes: Word classes of a class output.
        noise_samples: Noise words of a batch in nce training.
    """

    output: OutputKind = field(default="full", kw_only=True)
    classes: int = field(default=100, kw_only=True)
    noise_samples: int = field(default=200, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in get_args(OutputKind):
            raise InputError(f"expected one of {', '.join(get_args(OutputKind))}, not {self.output!r}", field="output")


@dataclass(frozen=True)
class RecurrentConfig(OutputConfig):
    """Sizes of an embedding, a stack of recurrent layers and an output.

    Attributes:
        embedding: Width of the projection layer.
        hidden: Units of each recurrent layer.
        layers: Number of recurrent layers.
        dropout: Share of the non-recurrent connections dropped in training.
        tied: Use the embedding as output weights; needs embedding == hidden and an output that is not factored.

    Raises:
        InputError: sizes that make no network.
    """

    embedding: int = 512
    hidden: int = 512
    layers: int = 1
    dropout: float = 0.0
    tied: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tied and self.embedding != self.hidden:
            raise InputError(
                f"tied embeddings need as many units as the embedding is wide, not {self.hidden} and {self.embedding}",
                field="tied",
            )
        if self.tied and self.output in ("class", "adaptive"):
            raise InputError(f"the output {self.output!r} cannot be tied to the embedding", field="tied")
