"""The work of ``train``: a model of any kind, from its options to its folder."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.evaluation.perplexity import measure
from asr_lm.files import STDIN, open_binary
from asr_lm.lm.device import resolve_device
from asr_lm.lm.loading import load_model
from asr_lm.lm.training import distributed
from asr_lm.lm.training.corpus import lost_letters, read_lines, read_sentences
from asr_lm.lm.training.initial import InitialModel
from asr_lm.lm.training.options import MOST_PIECES, Fold, TextOptions, check_vocabulary
from pipelines.command import blaming, console
from pipelines.display import draw_training, perplexities, say_trained, training_progress, warn
from pipelines.folds import check_jackknife, check_parts, say, train_folds
from pipelines.train_options import Mixture, Neural, Ngram, Options, Pairs, Text
from pipelines.train_record import Asked, asked_for
from pipelines.word_error_options import WordErrors


def train(model: str, options: Options) -> None:
    """Train a model and those of the folds; what is trained already is left as it is.

    Raises:
        InputError: options that cannot work, or a folder in use.
    """
    _meet(options)
    if isinstance(options, Mixture):
        from pipelines.mixing import mix

        mix(options)
        return
    if isinstance(options, Pairs):
        from pipelines.training_on_lists import train_on_lists

        train_on_lists(model, options)
    elif isinstance(options, WordErrors):
        from pipelines.word_error_training import fine_tune

        fine_tune(model, options)
    else:
        _check(options)
        train_one = partial(_train_ngram, options) if isinstance(options, Ngram) else partial(_train, model, options)
        train_folds(options.out, asked_for(model, options), options.jackknife, train_one)
    distributed.leave()


def _meet(options: Options) -> None:
    """Connect with the other processes that ``torchrun`` started.

    Raises:
        InputError: there are some, and the model is not trained by several.
    """
    if distributed.is_shared_run() and isinstance(options, Ngram | Mixture):
        raise InputError("this model is trained by one process; start it without torchrun")
    distributed.join()


def _check(options: Ngram | Neural) -> None:
    """Refuse what cannot work before anything is written."""
    if not options.text:
        raise InputError("expected at least one file", parameter="text")
    check_jackknife(options.jackknife)
    check_sizes(options.vocabulary_size, options.min_count)
    check_vocabulary(options.vocabulary)
    _check_files([*options.text, *filter(None, [options.valid])])
    if next(read_sentences(options.text, options.normalizer), None) is None:
        raise InputError("no sentence in the text", file=", ".join(map(str, options.text)))
    if options.jackknife:
        check_parts(read_sentences(options.text, options.normalizer), options.jackknife)
    if options.valid and next(read_sentences([options.valid], options.normalizer), None) is None:
        raise InputError("no sentence in the validation text", file=options.valid)
    for texts in (options.text, [options.valid] if options.valid else []):
        _check_letters(texts, options.normalizer)


def _check_letters(texts: Sequence[Path], normalizer: str) -> None:
    """Warn of lines that the normaliser thins or empties; refuse a text of which it loses most."""
    names = ", ".join(map(str, texts))
    lost = lost_letters(texts, normalizer)
    try:
        lost.check("normalizer")
    except InputError as error:
        raise error.located(file=names) from error
    if lost.warning:
        warn(f"{names}: {lost.warning}")


def check_sizes(vocabulary_size: int | None, min_count: int) -> None:
    """Refuse numbers of a vocabulary that are not above 0.

    Raises:
        InputError: there is one.
    """
    for name, number in (("vocabulary_size", vocabulary_size), ("min_count", min_count)):
        if number is not None and number < 1:
            raise InputError(f"expected a number above 0, not {number}", parameter=name)


def _check_files(paths: Iterable[Path]) -> None:
    for path in paths:
        if str(path) == STDIN:
            raise InputError("text is read more than once; give a file, not standard input", parameter="text")
        open_binary(path).close()


def _text_options(options: Text, valid: Path | None, fold: Fold | None) -> TextOptions:
    return TextOptions(
        texts=options.text,
        valid=valid,
        normalizer=options.normalizer,
        vocabulary=options.vocabulary,
        vocabulary_size=options.vocabulary_size,
        min_count=options.min_count,
        fold=fold,
    )


def _train_ngram(options: Ngram, folder: Path, fold: Fold | None, asked: Asked) -> None:
    from rich.markup import escape

    from asr_lm.lm.training.recipe import train_ngram_model

    begin, text = time.monotonic(), _text_options(options, options.valid, fold)
    with console().status(f"estimating {escape(str(folder))}"):
        result = train_ngram_model(text, folder, order=options.order, prune=options.prune, asked=asked)
    ngrams = ", ".join(f"{count:,}" for count in result.ngrams)
    say(f"{folder}: {ngrams} n-grams of order 1 to {len(result.ngrams)}, {time.monotonic() - begin:.1f} s")
    if result.fallback_orders:
        orders = ", ".join(map(str, result.fallback_orders))
        say(f"  too little text for the closed-form discounts of order {orders}: fallback discounts used")
    if result.binary_failure:
        say(f"  KenLM's binary was not written: {result.binary_failure}")
    if options.valid:
        _print_perplexity(folder, options.valid)


def _print_perplexity(folder: Path, valid: Path) -> None:
    with blaming(str(valid)):
        result = measure([load_model(folder)], read_lines(valid))[0]
    oov = result.to_json()["oov_rate"]
    say(f"  validation {perplexities(result.per_word, result.per_token)}, unknown words {oov:.2f} %")


def _train(family: str, options: Neural, folder: Path, fold: Fold | None, asked: Asked) -> None:
    """A network that learns from text."""
    from asr_lm.lm.training.recipe import train_model

    with training_progress(str(folder)) as report:
        model, result = train_model(
            family,
            options.network,
            _text_options(options, options.valid, fold),
            options.training,
            folder,
            device=distributed.local_device(resolve_device(options.device)),
            half=options.half,
            initial=None if options.init_from is None else InitialModel.open(options.init_from),
            report=report,
            processes=distributed.join(),
            asked=asked,
        )
    say_trained(folder, result, options.training.epochs, pseudo=model.network.pseudo)
    draw_training(folder)
    chosen = options.vocabulary in ("bpe", "unigram") and options.vocabulary_size is None and options.init_from is None
    if chosen and model.vocabulary.size < MOST_PIECES:
        few = f"{model.vocabulary.size:,} pieces instead of {MOST_PIECES:,}"
        say(f"  {few}, as the text is small: --vocabulary-size asks for others, and an n-gram model may do better")
    if result.best_loss > math.log(model.vocabulary.size):
        warn(f"{folder} has learnt nothing: guessing would do better; try a lower --learning-rate, or more text")
