"""Bidirectional recurrent encoder with an attentive decoder (Bahdanau, Cho, Bengio 2015): its sizes.

The equations stand beside the network, in :mod:`asr_lm.lm.families.birnn_attention.network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from asr_lm.errors import InputError
from asr_lm.lm.families.family import Family
from asr_lm.lm.sizes import BEFORE, NetworkConfig

Heard = Literal["first", "list"]
"""What a model is told of a recogniser: its first hypothesis, or the distinct hypotheses of its list."""


@dataclass(frozen=True)
class BirnnAttentionConfig(NetworkConfig):
    """Sizes of a bidirectional recurrent encoder and an attentive decoder.

    Attributes:
        embedding: Width of the embedding, which source and target share.
        hidden: Units of each direction of the encoder, and of the decoder.
        attention: Units of the alignment model.
        maxout: Maxout units before the output.
        dropout: Share dropped of embeddings, annotations and maxout units in training.
        label_smoothing: Share of the probability that training spreads over all tokens (Szegedy et al. 2016).
        tied: Use the embedding as output weights; needs embedding == maxout.
        copy: The output also reads the embeddings of the source tokens that are attended to, so that copying needs
            no learning word by word; needs tied embeddings.
        heard: What the source is: the first hypothesis, or the distinct hypotheses of the list.
        pointer: The output may also copy a source token from where the decoder looks (See et al. 2017).
        location: The decoder knows where it looked before, so that it finds the next source token (Chorowski et al.
            2015) and leaves none out.

    Raises:
        InputError: sizes that make no network.
    """

    embedding: int = 256
    hidden: int = 256
    attention: int = 256
    maxout: int = 256
    dropout: float = 0.2
    label_smoothing: float = 0.0
    tied: bool = True
    copy: bool = True
    heard: Heard = "list"
    pointer: bool = field(default=True, kw_only=True, metadata={BEFORE: False})
    location: bool = field(default=True, kw_only=True, metadata={BEFORE: False})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tied and self.embedding != self.maxout:
            raise InputError(
                f"tied embeddings need as many maxout units as the embedding is wide, not {self.maxout} and "
                f"{self.embedding}",
                field="tied",
            )
        if self.copy and not self.tied:
            raise InputError("copying needs tied embeddings", field="copy")
        if self.heard not in get_args(Heard):
            raise InputError(f"expected one of {', '.join(get_args(Heard))}, not {self.heard!r}", field="heard")


FAMILY = Family(
    about="Bidirectional recurrent encoder with attention (Bahdanau, Cho, Bengio 2014), from what was heard to what "
    "was said; learns from n-best lists with references.",
    sizes=BirnnAttentionConfig,
    network="network.BirnnAttentionNetwork",
    model="network.BirnnAttentionModel",
    streams=False,
    learns_from="pairs",
)
