"""Options of ``train birnn-attention``, which learns from n-best lists with references instead of text."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from asr_lm.errors import InputError
from asr_lm.lm import sizes
from asr_lm.lm.training import distributed
from asr_lm.lm.training.options import Fold, TrainingOptions
from pipelines.command import OptionalInt, unless_given
from pipelines.display import training_progress
from pipelines.folds import check_jackknife, check_lists, check_training, say, train_folds

FAMILY = "birnn-attention"

NormalizerName = Literal["as-is", "librispeech", "unicode", "chinese"]


@dataclass(frozen=True)
class _Sizes(sizes.BirnnAttentionConfig):
    vocabulary_size: Annotated[int, tyro.conf.Suppress] = 1


@dataclass
class BirnnAttention:
    """Bidirectional recurrent encoder with attention (Bahdanau, Cho, Bengio 2014), from what was heard to what was
    said; learns from n-best lists with references.

    Attributes:
        nbest: n-best lists with references to train on.
        valid_nbest: n-best lists with references that decide when to stop and which weights are kept.
        out: Folder of the model.
        pretrain_text: Text, one sentence a line, which the network first learns to restore from a version with the
            confusions of the lists.
        pretrain_epochs: Passes over that text.
        normalizer: How references, hypotheses and text are normalised.
        vocabulary: Words, or SentencePiece pieces, which can spell words never seen.
        vocabulary_size: Number of tokens; by default every word, or 1,000 pieces.
        min_count: Words seen less often are unknown.
        jackknife: Also train this many models, each without the utterances and sentences of one part of the references,
            so that weights can be tuned on the lists trained on (0: none, else at least 2).
        device: cpu, cuda, or auto.
        half: Store the weights as float16.
    """

    nbest: tuple[Path, ...]
    valid_nbest: tuple[Path, ...]
    out: Path
    pretrain_text: Annotated[tuple[Path, ...], unless_given("PATH [PATH ...]")] = ()
    pretrain_epochs: float = 5.0
    normalizer: NormalizerName = "librispeech"
    vocabulary: Literal["words", "bpe", "unigram"] = "bpe"
    vocabulary_size: OptionalInt = None
    min_count: int = 1
    jackknife: int = 0
    device: str = "auto"
    half: bool = False
    training: tyro.conf.OmitArgPrefixes[TrainingOptions] = field(default_factory=TrainingOptions)
    network: tyro.conf.OmitArgPrefixes[_Sizes] = field(default_factory=_Sizes)


def train(arguments: BirnnAttention) -> None:
    """Run the command: the full model, then those of the folds; what is trained already is left as it is."""
    _check(arguments)
    train_folds(arguments.out, FAMILY, arguments.jackknife, partial(_train_one, arguments))


def _check(arguments: BirnnAttention) -> None:
    """Refuse what cannot work before anything is written."""
    from asr_lm.lm.training.pair_recipe import read_lists

    check_lists(nbest=arguments.nbest, valid_nbest=arguments.valid_nbest)
    check_jackknife(arguments.jackknife)
    check_training(arguments.training)
    if not arguments.pretrain_epochs > 0:
        raise InputError(f"expected a number above 0, not {arguments.pretrain_epochs}", field="--pretrain-epochs")
    for option, number in (("--vocabulary-size", arguments.vocabulary_size), ("--min-count", arguments.min_count)):
        if number is not None and number < 1:
            raise InputError(f"expected a number above 0, not {number}", field=option)
    read_lists(arguments.valid_nbest, arguments.normalizer)


def _train_one(arguments: BirnnAttention, folder: Path, fold: Fold | None) -> None:
    import math

    from asr_lm.lm.loading import resolve_device
    from asr_lm.lm.training.pair_recipe import ListOptions, train_on_lists

    lists = ListOptions(
        nbest=arguments.nbest,
        valid=arguments.valid_nbest,
        texts=arguments.pretrain_text,
        normalizer=arguments.normalizer,
        vocabulary=arguments.vocabulary,
        vocabulary_size=arguments.vocabulary_size,
        min_count=arguments.min_count,
        fold=fold,
    )
    with training_progress(str(folder)) as report:
        _, result = train_on_lists(
            arguments.network,
            lists,
            arguments.training,
            folder,
            pretraining_epochs=arguments.pretrain_epochs,
            device=distributed.local_device(resolve_device(arguments.device)),
            half=arguments.half,
            report=report,
            processes=distributed.join(),
        )
    why = "stopped early" if result.stopped_early else "done"
    say(
        f"{folder}: {why} after {result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:.0f} s; "
        f"validation perplexity a token {math.exp(min(result.best_loss, 50)):,.2f} (step {result.best_step:,})"
    )
