"""Train a language model: ``python -m pipelines.train MODEL --text train.txt --valid valid.txt --out DIR``."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from asr_lm.errors import InputError
from asr_lm.lm import sizes
from asr_lm.lm.training import distributed
from asr_lm.lm.training.options import Fold, TextOptions, TrainingOptions
from asr_lm.lm.training.presets import described, find_preset
from pipelines import mixture, train_choice, train_lists
from pipelines.command import OptionalInt, OptionalPath, blaming, console, parse_one_of, run, unless_given
from pipelines.display import training_progress, warn
from pipelines.folds import check_jackknife, check_parts, say, train_folds

DESCRIPTION = """Train a language model on text, one sentence a line, into a folder.

A run that was killed goes on where it stopped when the same command is given again."""


NormalizerName = Literal["as-is", "librispeech", "unicode", "chinese"]


@dataclass
class Text:
    """Text and vocabulary.

    Attributes:
        text: Training text, one sentence a line (.gz and .zst are read).
        out: Folder of the model.
        normalizer: How text is normalised; hypotheses go through the same.
        vocabulary: Words, or SentencePiece pieces.
        vocabulary_size: Number of tokens; by default every word, or 4,000 pieces.
        min_count: Words seen less often are unknown.
        jackknife: Also train this many models, each without one part of the text, so that weights can be tuned on
            utterances whose references are in the text (0: none, else at least 2).
    """

    text: tuple[Path, ...]
    out: Path
    normalizer: NormalizerName = "librispeech"
    vocabulary: Literal["words", "bpe", "unigram"] = "words"
    vocabulary_size: OptionalInt = None
    min_count: int = 1
    jackknife: int = 0


@dataclass
class Ngram(Text):
    """n-gram model: interpolated modified Kneser-Ney.

    Attributes:
        valid: Text whose perplexity is printed at the end.
        order: Length of the longest n-grams, 1 to 6.
        prune: Leave out n-grams seen at most so often, one number an order from 1 on (0 0 0 1: singletons of order 4).
    """

    valid: OptionalPath = None
    order: int = 4
    prune: Annotated[tuple[int, ...], unless_given("N [N ...]")] = ()


@dataclass
class Neural(Text):
    """Options of all neural models.

    Attributes:
        valid: Validation text: decides when to stop and which weights are kept.
        preset: Named settings (listed above, where the family has some) in place of the defaults shown here; any option
            given beside it overrides it.
        init_from: Fine-tune: start from the weights of this trained folder and keep its vocabulary, normaliser and
            sizes.
        device: cpu, cuda, or auto.
        half: Store the weights as float16.
    """

    valid: Path = field(kw_only=True)
    vocabulary: Literal["words", "bpe", "unigram"] = "bpe"
    preset: Annotated[str | None, unless_given("NAME")] = None
    init_from: Annotated[Path | None, unless_given("DIR")] = None
    device: str = "auto"
    half: bool = False
    training: tyro.conf.OmitArgPrefixes[TrainingOptions] = field(default_factory=TrainingOptions)


Hidden = Annotated[int, tyro.conf.Suppress]
"""The size of the vocabulary is no option: it comes from the text."""


@dataclass(frozen=True)
class _NnlmSizes(sizes.NnlmConfig):
    vocabulary_size: Hidden = 1


@dataclass
class Nnlm(Neural):
    """Feed-forward network (Bengio, Ducharme, Vincent, Jauvin 2003)."""

    network: tyro.conf.OmitArgPrefixes[_NnlmSizes] = field(default_factory=_NnlmSizes)


@dataclass(frozen=True)
class _RnnlmSizes(sizes.RnnlmConfig):
    vocabulary_size: Hidden = 1


@dataclass
class Rnnlm(Neural):
    """Simple recurrent network (Mikolov et al. 2010, 2011)."""

    network: tyro.conf.OmitArgPrefixes[_RnnlmSizes] = field(default_factory=_RnnlmSizes)


@dataclass(frozen=True)
class _LstmSizes(sizes.LstmConfig):
    vocabulary_size: Hidden = 1


@dataclass
class Lstm(Neural):
    """LSTM recurrent network (Sundermeyer, Schlüter, Ney 2012)."""

    network: tyro.conf.OmitArgPrefixes[_LstmSizes] = field(default_factory=_LstmSizes)


@dataclass(frozen=True)
class _BilstmSizes(sizes.BilstmConfig):
    vocabulary_size: Hidden = 1


@dataclass
class Bilstm(Neural):
    """Bidirectional LSTM: every word from both sides."""

    network: tyro.conf.OmitArgPrefixes[_BilstmSizes] = field(default_factory=_BilstmSizes)


@dataclass(frozen=True)
class _Gpt1Sizes(sizes.Gpt1Config):
    vocabulary_size: Hidden = 1


@dataclass
class Gpt1(Neural):
    """Transformer decoder (Radford et al. 2018)."""

    network: tyro.conf.OmitArgPrefixes[_Gpt1Sizes] = field(default_factory=_Gpt1Sizes)


MODELS: dict[str, type[Any]] = {
    "ngram": Ngram,
    "nnlm": Nnlm,
    "rnnlm": Rnnlm,
    "lstm": Lstm,
    "bilstm": Bilstm,
    "birnn-attention": train_lists.BirnnAttention,
    "gpt1": Gpt1,
    "gpt1-choice": train_choice.Gpt1Choice,
    "mixture": mixture.Mixture,
}


def main() -> None:
    """Run the command."""
    arguments = _arguments(sys.argv[1:])
    _meet(arguments)
    if isinstance(arguments, mixture.Mixture):
        mixture.train(arguments)
        return
    if isinstance(arguments, train_choice.Gpt1Choice):
        train_choice.train(arguments)
    elif isinstance(arguments, train_lists.BirnnAttention):
        train_lists.train(arguments)
    else:
        _check(arguments)
        train_one = _train_ngram if isinstance(arguments, Ngram) else _train_neural
        train_folds(arguments.out, _family(arguments), arguments.jackknife, partial(train_one, arguments))
    distributed.leave()


def _meet(arguments: Any) -> None:
    """Connect with the other processes that ``torchrun`` started.

    Raises:
        InputError: there are some, and the model is not trained by several.
    """
    if distributed.is_shared_run() and isinstance(arguments, Ngram | mixture.Mixture):
        raise InputError("this model is trained by one process; start it without torchrun")
    distributed.join()


def _arguments(words: Sequence[str]) -> Any:
    """The command line; a preset or a trained folder named there gives the defaults of the other options."""
    family = next(iter(words), "")
    if words and family not in MODELS and not family.startswith("-"):
        raise InputError(f"no model is called {family!r}; there are {', '.join(MODELS)}")
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", nargs="?")
    finder.add_argument("--init-from", "--init_from", nargs="?", type=Path)
    found, _ = finder.parse_known_args(words)
    if not issubclass(MODELS.get(family, Text), Neural):
        return parse_one_of(MODELS, "train", DESCRIPTION)
    defaults = _unset(MODELS[family])
    if found.init_from:
        defaults = _as_trained(defaults, family, found.init_from)
    if found.preset:
        preset = find_preset(family, found.preset)
        defaults = _with_settings(defaults, preset.network, preset.training, preset.text)
    presets = f"\n\nPresets (--preset NAME):\n{described(family)}" if described(family) else ""
    about = {family: f"{MODELS[family].__doc__}{presets}"}
    return parse_one_of(MODELS, "train", DESCRIPTION, defaults={family: defaults}, descriptions=about)


def _unset(options: type[Any]) -> Any:
    """An instance that has the defaults of the options, and nothing where there is none."""
    required = [item for item in fields(options) if item.default is MISSING and item.default_factory is MISSING]
    return options(**{item.name: tyro.MISSING for item in required})


def _with_settings(
    defaults: Any, network: Mapping[str, Any], training: Mapping[str, Any], text: Mapping[str, Any]
) -> Any:
    sizes, options = replace(defaults.network, **network), replace(defaults.training, **training)
    return replace(defaults, network=sizes, training=options, **text)


def _as_trained(defaults: Any, family: str, folder: Path) -> Any:
    """The sizes and the text options of a trained folder."""
    from asr_lm.lm.training.initial import InitialModel

    initial = InitialModel.open(folder)
    if initial.family != family:
        raise InputError(f"holds a model of family {initial.family!r}, not {family!r}", file=folder)
    names = [item.name for item in fields(initial.sizes) if item.name != "vocabulary_size"]
    text = {"normalizer": initial.normalizer, "vocabulary": initial.vocabulary_option}
    return _with_settings(defaults, {name: getattr(initial.sizes, name) for name in names}, {}, text)


def _check(arguments: Text) -> None:
    """Refuse what cannot work before anything is written."""
    from asr_lm.files import STDIN, open_binary
    from asr_lm.lm.training.corpus import read_sentences

    if not arguments.text:
        raise InputError("expected at least one file", field="--text")
    check_jackknife(arguments.jackknife)
    for option, number in (("--vocabulary-size", arguments.vocabulary_size), ("--min-count", arguments.min_count)):
        if number is not None and number < 1:
            raise InputError(f"expected a number above 0, not {number}", field=option)
    valid: Path | None = getattr(arguments, "valid", None)
    for path in (*arguments.text, *filter(None, [valid])):
        if str(path) == STDIN:
            raise InputError("text is read more than once; give a file, not standard input", field="--text")
        open_binary(path).close()
    if next(read_sentences(arguments.text, arguments.normalizer), None) is None:
        raise InputError("no sentence in the text", file=", ".join(map(str, arguments.text)))
    if arguments.jackknife:
        check_parts(read_sentences(arguments.text, arguments.normalizer), arguments.jackknife)
    if valid and next(read_sentences([valid], arguments.normalizer), None) is None:
        raise InputError("no sentence in the validation text", file=valid)


def _family(arguments: Text) -> str:
    return next(name for name, options in MODELS.items() if options is type(arguments))


def _text_options(arguments: Any, fold: Any) -> TextOptions:
    return TextOptions(
        texts=arguments.text,
        valid=arguments.valid,
        normalizer=arguments.normalizer,
        vocabulary=arguments.vocabulary,
        vocabulary_size=arguments.vocabulary_size,
        min_count=arguments.min_count,
        fold=fold,
    )


def _train_ngram(arguments: Ngram, folder: Path, fold: Fold | None) -> None:
    from rich.markup import escape

    from asr_lm.lm.training.recipe import train_ngram_model

    begin = time.monotonic()
    with console().status(f"estimating {escape(str(folder))}"):
        result = train_ngram_model(_text_options(arguments, fold), folder, order=arguments.order, prune=arguments.prune)
    ngrams = ", ".join(f"{count:,}" for count in result.ngrams)
    say(f"{folder}: {ngrams} n-grams of order 1 to {len(result.ngrams)}, {time.monotonic() - begin:.1f} s")
    if result.fallback_orders:
        orders = ", ".join(map(str, result.fallback_orders))
        say(f"  too little text for the closed-form discounts of order {orders}: fallback discounts used")
    if result.binary_failure:
        say(f"  KenLM's binary was not written: {result.binary_failure}")
    if arguments.valid:
        _print_perplexity(folder, arguments.valid)


def _print_perplexity(folder: Path, valid: Path) -> None:
    from asr_lm.evaluation.perplexity import measure
    from asr_lm.lm import load
    from asr_lm.lm.training.corpus import read_lines

    with blaming(str(valid)):
        result = measure([load(folder)], read_lines(valid))[0]
    oov = result.to_json()["oov_rate"]
    say(f"  validation perplexity a word {result.per_word:.2f}, unknown words {oov:.2f} %")


def _train_neural(arguments: Any, folder: Path, fold: Fold | None) -> None:
    from asr_lm.lm.loading import resolve_device
    from asr_lm.lm.training.initial import InitialModel
    from asr_lm.lm.training.recipe import train_model

    with training_progress(str(folder)) as report:
        model, result = train_model(
            _family(arguments),
            arguments.network,
            _text_options(arguments, fold),
            arguments.training,
            folder,
            device=distributed.local_device(resolve_device(arguments.device)),
            half=arguments.half,
            initial=None if arguments.init_from is None else InitialModel.open(arguments.init_from),
            report=report,
            processes=distributed.join(),
        )
    name = "pseudo-perplexity" if model.network.pseudo else "perplexity"
    why = "stopped early" if result.stopped_early else "done"
    say(
        f"{folder}: {why} after {result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:.0f} s; "
        f"validation {name} a token {math.exp(min(result.best_loss, 50)):,.2f} (step {result.best_step:,})"
    )
    if result.best_loss > math.log(model.vocabulary.size):
        warn(f"{folder} has learnt nothing: guessing would do better; try a lower --learning-rate, or more text")


if __name__ == "__main__":
    run(main)
