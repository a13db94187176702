"""What a training is told: its text and how to go about it.

Kept apart from the code that needs torch, so that a command can show its options at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from asr_lm.errors import InputError

Fold = tuple[int, int]
"""(i, K): all sentences but those of fold ``i`` of ``K``."""


@dataclass(frozen=True)
class TextOptions:
    """What a model is trained on and how its text is cut into tokens.

    Attributes:
        texts: training text, one sentence a line.
        valid: validation text; neural models need one.
        normalizer: name of the normaliser.
        vocabulary: ``words``, ``bpe`` or ``unigram`` (SentencePiece).
        vocabulary_size: number of tokens; None is every word, or 4,000 pieces.
        min_count: words seen less often are unknown.
        fold: leave out fold ``i`` of ``K`` of the training text.
    """

    texts: tuple[Path, ...]
    valid: Path | None
    normalizer: str = "librispeech"
    vocabulary: Literal["words", "bpe", "unigram"] = "bpe"
    vocabulary_size: int | None = None
    min_count: int = 1
    fold: Fold | None = None

    def __post_init__(self) -> None:
        _check_choices(self)
        for name in ("vocabulary_size", "min_count"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"expected a number above 0, not {value}", field=name)


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained.

    Attributes:
        epochs: passes over the text; may be a fraction.
        context: ``sentence`` (each from a fresh state) or ``stream`` (in order, state carried).
        batch_tokens: tokens of a batch (padding included); a stream batch has ``batch_tokens / bptt`` rows.
        bptt: steps of truncated back-propagation through time in a stream.
        optimizer: ``adamw`` or ``sgd``.
        learning_rate: the highest one.
        weight_decay: decoupled for AdamW, L2 for SGD.
        schedule: ``cosine`` or ``linear`` to zero over all steps, ``constant``, or ``plateau`` (multiplied by ``decay``
            whenever the validation loss did not fall).
        decay: factor of ``plateau``.
        warmup: share of all steps over which the rate rises linearly.
        clip: largest norm of the gradient; 0 does not clip.
        validations: how often the validation loss is measured, counted over the whole training.
        patience: stop after so many validations without improvement; 0 never stops early.
        precision: ``float32``, or ``bfloat16`` for matrix products on a GPU.
        seed: of initial weights, order and dropout.
    """

    epochs: float = 10.0
    context: Literal["sentence", "stream"] = "sentence"
    batch_tokens: int = 2048
    bptt: int = 35
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    schedule: Literal["cosine", "linear", "constant", "plateau"] = "cosine"
    decay: float = 0.5
    warmup: float = 0.02
    clip: float = 1.0
    validations: int = 20
    patience: int = 5
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 1

    def __post_init__(self) -> None:
        _check_choices(self)
        for name in ("epochs", "batch_tokens", "bptt", "learning_rate", "decay", "validations"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"expected a number above 0, not {getattr(self, name)}", field=name)
        for name in ("weight_decay", "clip", "patience"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"expected 0 or more, not {getattr(self, name)}", field=name)
        if not 0 <= self.warmup <= 1:
            raise InputError(f"expected a share from 0 to 1, not {self.warmup}", field="warmup")


def _check_choices(options: TextOptions | TrainingOptions) -> None:
    """Refuse a value that is none of its field's literals."""
    for name, hint in get_type_hints(type(options)).items():
        if get_origin(hint) is Literal and getattr(options, name) not in get_args(hint):
            choices = ", ".join(get_args(hint))
            raise InputError(f"expected one of {choices}, not {getattr(options, name)!r}", field=name)
