"""Training on n-best lists with references, of models that learn what was said."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.device import resolve_device
from asr_lm.lm.training import distributed
from asr_lm.lm.training.options import Fold
from pipelines.display import draw_training, say_trained, training_progress
from pipelines.folds import check_jackknife, check_lists, check_training, train_folds
from pipelines.train_options import Pairs
from pipelines.train_record import Asked, asked_for


def train_on_lists(family: str, options: Pairs) -> None:
    """Train the full model, then those of the folds; what is trained already is left as it is.

    Raises:
        InputError: options that cannot work, or a folder in use.
    """
    check_lists(nbest=options.nbest, valid_nbest=options.valid_nbest)
    check_jackknife(options.jackknife)
    check_training(options.training)
    _check_pairs(options)
    train_folds(options.out, asked_for(family, options), options.jackknife, partial(_learn_pairs, options))


def _check_pairs(options: Pairs) -> None:
    from asr_lm.lm.training.options import check_vocabulary
    from asr_lm.lm.training.pair_recipe import read_lists
    from pipelines.training import check_sizes

    if not options.pretrain_epochs > 0:
        raise InputError(f"expected a number above 0, not {options.pretrain_epochs}", parameter="pretrain_epochs")
    check_sizes(options.vocabulary_size, options.min_count)
    check_vocabulary(options.vocabulary)
    read_lists(options.valid_nbest, options.normalizer)


def _learn_pairs(options: Pairs, folder: Path, fold: Fold | None, asked: Asked) -> None:
    from asr_lm.lm.training.pair_recipe import ListOptions, train_on_lists

    lists = ListOptions(
        nbest=options.nbest,
        valid=options.valid_nbest,
        texts=options.pretrain_text,
        normalizer=options.normalizer,
        vocabulary=options.vocabulary,
        vocabulary_size=options.vocabulary_size,
        min_count=options.min_count,
        noise=options.noise,
        piece_dropout=options.piece_dropout,
        fold=fold,
    )
    with training_progress(str(folder)) as report:
        _, result = train_on_lists(
            options.network,
            lists,
            options.training,
            folder,
            pretraining_epochs=options.pretrain_epochs,
            device=distributed.local_device(resolve_device(options.device)),
            half=options.half,
            report=report,
            processes=distributed.join(),
            asked=asked,
        )
    say_trained(folder, result, options.training.epochs)
    draw_training(folder)
