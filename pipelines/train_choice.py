"""Options of ``train gpt1-choice``, which fine-tunes a GPT-1 on n-best lists with references."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from asr_lm.lm.sizes import ChoiceTarget
from asr_lm.lm.training import distributed
from asr_lm.lm.training.options import Fold, TrainingOptions
from pipelines.command import OptionalFloat
from pipelines.display import training_progress
from pipelines.folds import check_jackknife, check_lists, check_training, say, train_folds

FAMILY = "gpt1-choice"

_FINE_TUNING = TrainingOptions(
    epochs=3.0, batch_tokens=4096, learning_rate=6.25e-5, schedule="linear", warmup=0.002, weight_decay=0.01
)


@dataclass
class Gpt1Choice:
    """GPT-1 fine-tuned to choose from n-best lists (Radford et al. 2018, multiple choice): a linear head on the last
    token scores each hypothesis. The score is a feature for rescore and compare, no log-probability.

    Attributes:
        init_from: Trained gpt1 folder to begin with, a folder with OpenAI's weights, or hf:openai-community/openai-gpt.
        nbest: n-best lists with references to train on.
        valid_nbest: n-best lists with references that decide when to stop and which weights are kept.
        out: Folder of the model.
        target: Make the expected word errors few, or choose the hypotheses of fewest errors (cross-entropy).
        auxiliary: Weight of the language model's loss on the references.
        dropout: Share of embeddings, attention weights, residual branches and of the head's input dropped; by default
            that of the model to begin with.
        jackknife: Also train this many models, each without the utterances of one part of the references, so that
            weights can be tuned on the lists trained on (0: none, else at least 2).
        device: cpu, cuda, or auto.
        half: Store the weights as float16.
    """

    init_from: Annotated[str, tyro.conf.arg(metavar="DIR")]
    nbest: tuple[Path, ...]
    valid_nbest: tuple[Path, ...]
    out: Path
    target: ChoiceTarget = "errors"
    auxiliary: float = 0.5
    dropout: OptionalFloat = None
    jackknife: int = 0
    device: str = "auto"
    half: bool = False
    training: tyro.conf.OmitArgPrefixes[TrainingOptions] = field(default_factory=lambda: _FINE_TUNING)


def train(arguments: Gpt1Choice) -> None:
    """Run the command: the full model, then those of the folds; what is trained already is left as it is."""
    _check(arguments)
    train_folds(arguments.out, FAMILY, arguments.jackknife, partial(_train_one, arguments))


def _check(arguments: Gpt1Choice) -> None:
    """Refuse what cannot work before anything is written."""
    check_lists(nbest=arguments.nbest, valid_nbest=arguments.valid_nbest)
    check_jackknife(arguments.jackknife)
    check_training(arguments.training)


def _train_one(arguments: Gpt1Choice, folder: Path, fold: Fold | None) -> None:
    from asr_lm.lm.loading import resolve_device
    from asr_lm.lm.training.list_fine_tuning import ChoiceOptions, fine_tune_on_lists

    choice = ChoiceOptions(
        initial=arguments.init_from,
        nbest=arguments.nbest,
        valid=arguments.valid_nbest,
        target=arguments.target,
        auxiliary=arguments.auxiliary,
        dropout=arguments.dropout,
        fold=fold,
    )
    with training_progress(str(folder)) as report:
        _, result = fine_tune_on_lists(
            choice,
            arguments.training,
            folder,
            device=distributed.local_device(resolve_device(arguments.device)),
            half=arguments.half,
            report=report,
            processes=distributed.join(),
        )
    why = "stopped early" if result.stopped_early else "done"
    what = "expected word errors" if arguments.target == "errors" else "cross-entropy with the oracle"
    say(
        f"{folder}: {why} after {result.steps:,} steps, {result.tokens:,} lists, {result.seconds:.0f} s; "
        f"validation {what} a list {result.best_loss:.3f} (step {result.best_step:,})"
    )
