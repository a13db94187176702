"""What a training is told: its text and how to go about it.

Kept apart from the code that needs torch, so that a command can show its options at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from asr_lm.errors import InputError
from asr_lm.lm.precision import PrecisionChoice
from asr_lm.text.normalizer import NormalizerName

Fold = tuple[int, int]
"""(i, K): all sentences but those of fold ``i`` of ``K``."""


VocabularyKind = Literal["words", "bpe", "unigram"]
"""Words, or SentencePiece pieces of either kind."""

VOCABULARY_KINDS: tuple[str, ...] = get_args(VocabularyKind)

MOST_PIECES = 4000
"""SentencePiece pieces where nothing else is asked for, and the text is enough for them."""

Context = Literal["sentence", "stream"]
"""What a text is read as: sentences, each from a fresh state, or one stream in order, with the state carried over."""


@dataclass(frozen=True)
class TextOptions:
    """What a model is trained on and how its text is cut into tokens.

    Attributes:
        texts: training text, one sentence a line.
        valid: validation text; neural models need one.
        normalizer: name of the normaliser.
        vocabulary: ``words``, ``bpe`` or ``unigram`` (SentencePiece), or the file of a SentencePiece model.
        vocabulary_size: number of tokens; None is every word, or 4,000 pieces, fewer for a small text.
        min_count: words seen less often are unknown.
        fold: leave out fold ``i`` of ``K`` of the training text.
    """

    texts: tuple[Path, ...]
    valid: Path | None
    normalizer: NormalizerName = "librispeech"
    vocabulary: str = "bpe"
    vocabulary_size: int | None = None
    min_count: int = 1
    fold: Fold | None = None

    def __post_init__(self) -> None:
        _check_choices(self)
        check_vocabulary(self.vocabulary)
        for name in ("vocabulary_size", "min_count"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"expected a number above 0, not {value}", field=name)


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained.

    Attributes:
        epochs: Passes over the text; may be a fraction.
        context: Read every sentence from a fresh state, or the whole text in order with the state carried over.
        batch_tokens: Tokens of a batch, padding included; of a stream, batch-tokens / bptt rows are read side by side.
        accumulate: Batches that make one step together, as if they were one batch.
        bptt: With --context stream, tokens of a row that are read at a time, and that back-propagation through time
            goes back; for a transformer the length of the windows, which are cut elsewhere in every epoch.
        short_windows: Share of the epochs in which a transformer reads shorter windows of a stream: 32 tokens, then 64
            and so on (Press et al. 2021). It learns sooner to look at the last words, and each epoch takes less time.
        input_noise: Share of the words read that give way to words drawn by their frequency, others in every epoch (Xie
            et al. 2017). Of a small text that is read many times, less is learnt by heart.
        optimizer: AdamW; Muon for the matrices between layers and AdamW for the rest (a transformer learns from far
            fewer tokens); or plain stochastic gradient descent.
        learning_rate: The highest one; the loss is the mean over the tokens of a step.
        epsilon: Of AdamW, for gradients of which the root mean square is smaller: a large one, 3e-4 for example, lets a
            word seen once move no further than SGD would, where the text is small.
        weight_decay: Decoupled for AdamW and Muon (with Muon of the matrices between layers alone), L2 for SGD.
        schedule: Cosine or linear to zero over all steps; constant; plateau (times decay whenever the validation loss
            did not fall); step (times decay after every epoch from decay-after on).
        decay: Factor of the schedules plateau and step.
        decay_after: Epochs before the schedule step begins to fall.
        warmup: Share of all steps over which the learning rate rises linearly.
        clip: Longest gradient; a longer one is shortened to it (0: never).
        initial_range: Draw all weights evenly from minus this number to it (0: as the network does by itself).
        ema: Keep a moving average of the weights with this decay, 0.999 for example, and validate and save that (0:
            none).
        average: Try the average of the weights of so many last validations at the end; kept if it is better (0: no).
        validations: How many times in the whole training the validation loss is measured; the weights of the best
            time are kept.
        patience: Stop after so many validations without improvement (0: never).
        precision: Of matrix products; weights are float32. auto tries the first batch in both and takes the quicker:
            bfloat16 on a processor with units for it (AMX on a CPU, tensor cores on a GPU). An unfinished training
            goes on as it began.
        seed: Of initial weights, order and dropout.

    Raises:
        InputError: a value that makes no sense.
    """

    epochs: float = 10.0
    context: Context = "sentence"
    batch_tokens: int = 2048
    accumulate: int = 1
    bptt: int = 35
    short_windows: float = 0.0
    input_noise: float = 0.0
    optimizer: Literal["adamw", "muon", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule: Literal["cosine", "linear", "constant", "plateau", "step"] = "cosine"
    decay: float = 0.5
    decay_after: float = 1.0
    warmup: float = 0.02
    clip: float = 1.0
    initial_range: float = 0.0
    ema: float = 0.0
    average: int = 0
    validations: int = 20
    patience: int = 5
    precision: PrecisionChoice = "auto"
    seed: int = 1

    def __post_init__(self) -> None:
        _check_choices(self)
        above = ("epochs", "batch_tokens", "accumulate", "bptt", "learning_rate", "epsilon", "decay", "validations")
        for name in above:
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"expected a number above 0, not {getattr(self, name)}", field=name)
        for name in ("weight_decay", "clip", "patience", "decay_after", "initial_range", "average"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"expected 0 or more, not {getattr(self, name)}", field=name)
        for name in ("warmup", "short_windows", "input_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"expected a share from 0 to 1, not {getattr(self, name)}", field=name)
        if self.average == 1:
            raise InputError("expected 0 or at least 2 validations, not 1", field="average")
        if not 0 <= self.ema < 1:
            raise InputError(f"expected a decay from 0 to less than 1, not {self.ema}", field="ema")
        if not 0 <= self.seed < 1 << 63:
            raise InputError(f"expected a whole number from 0 to {(1 << 63) - 1}, not {self.seed}", field="seed")


def check_vocabulary(vocabulary: str) -> None:
    """Refuse what is neither a kind of vocabulary nor a file.

    Raises:
        InputError: it is neither.
    """
    if vocabulary not in VOCABULARY_KINDS and not Path(vocabulary).is_file():
        kinds = ", ".join(VOCABULARY_KINDS)
        raise InputError(
            f"expected {kinds}, or the file of a SentencePiece model, not {vocabulary!r}", parameter="vocabulary"
        )


def _check_choices(options: TextOptions | TrainingOptions) -> None:
    """Refuse a value that is none of its field's literals."""
    for name, hint in get_type_hints(type(options)).items():
        if get_origin(hint) is Literal and getattr(options, name) not in get_args(hint):
            choices = ", ".join(get_args(hint))
            raise InputError(f"expected one of {choices}, not {getattr(options, name)!r}", field=name)
