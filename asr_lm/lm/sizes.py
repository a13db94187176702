"""Sizes of every neural family: what ``config.json`` keeps beside the weights.

Kept apart from the networks, which need torch, so that a command can show its options at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from asr_lm.errors import InputError

OutputKind = Literal["full", "class", "adaptive", "nce"]
"""Output layers: full softmax, factored by word classes, adaptive softmax, full with noise-contrastive training."""

Combination = Literal["joint", "sum"]
"""Ways to combine two directions: one softmax over both, or two language models."""

Heard = Literal["first", "list"]
"""What a model is told of a recogniser: its first hypothesis, or the distinct hypotheses of its list."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes every network has.

    Attributes:
        vocabulary_size: Number of token ids.

    Raises:
        InputError: a whole number that is none or not above 0, a switch that is neither true nor false, a share that
            is not from 0 to less than 1.
    """

    vocabulary_size: int

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type == "int" and not (type(value) is int and value > 0):
                raise InputError(f"expected a whole number above 0, not {value!r}", field=item.name)
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


@dataclass(frozen=True)
class LstmConfig(OutputConfig):
    """Sizes of an LSTM language model.

    Attributes:
        embedding: Width of the projection layer.
        hidden: Units of each LSTM layer.
        layers: Number of LSTM layers.
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


ChoiceTarget = Literal["errors", "oracle"]
"""What choosing from a list aims at: few expected errors, or the hypotheses of fewest errors."""


@dataclass(frozen=True)
class Gpt1ChoiceConfig(Gpt1Config):
    """Sizes of a GPT-1 that chooses from n-best lists.

    Attributes:
        target: ``errors``: fewest expected word errors; ``oracle``: cross-entropy with the hypotheses of fewest errors.
        auxiliary: weight of the language model's loss on the references.
    """

    target: ChoiceTarget = field(default="errors", kw_only=True)
    auxiliary: float = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target not in get_args(ChoiceTarget):
            raise InputError(
                f"expected one of {', '.join(get_args(ChoiceTarget))}, not {self.target!r}", field="target"
            )
