"""Options of ``train``: one group for what each kind of model learns from, and the sizes of a family beside it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import tyro

from asr_lm.errors import InputError
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig
from asr_lm.lm.families.family import Family, Material
from asr_lm.lm.families.registry import FAMILIES, find_preset
from asr_lm.lm.pretrained.place import FAMILY as HUGGING_FACE
from asr_lm.lm.sizes import NetworkConfig
from asr_lm.lm.training.options import VOCABULARY_KINDS, Context, TextOptions, TrainingOptions
from asr_lm.text.normalizer import NormalizerName
from pipelines.command import OptionalFloat, OptionalInt, OptionalPath, parse, parse_one_of, unless_given
from pipelines.repeated_options import in_one_form
from pipelines.word_error_options import WordErrors, adapter_options, fine_tuning_options

Objective = Literal["likelihood", "mwer"]
"""What a network is trained for."""

Vocabulary = Annotated[str, tyro.conf.arg(metavar="{" + ",".join((*VOCABULARY_KINDS, "FILE")) + "}")]


@dataclass(kw_only=True)
class Text:
    """Text and vocabulary.

    Attributes:
        text: Training text, one sentence a line (.gz and .zst are read).
        out: Folder of the model.
        normalizer: How text is normalised; hypotheses go through the same. spoken-english also writes numbers out.
        vocabulary: Words, SentencePiece pieces of either kind, or the file of a SentencePiece model of your own.
        vocabulary_size: Number of tokens; by default every word, or 4,000 pieces, fewer for a small text.
        min_count: Words seen less often are unknown.
        jackknife: Also train this many models, each without one part of the text, so that weights can be tuned on
            utterances whose references are in the text (0: none, else at least 2).
    """

    text: tuple[Path, ...]
    out: Path
    normalizer: NormalizerName = TextOptions.normalizer
    vocabulary: Vocabulary = TextOptions.vocabulary
    vocabulary_size: OptionalInt = None
    min_count: int = TextOptions.min_count
    jackknife: int = 0


@dataclass(kw_only=True)
class Ngram(Text):
    """n-gram model: interpolated modified Kneser-Ney.

    Attributes:
        valid: Text whose perplexity is printed at the end.
        order: Length of the longest n-grams, 1 to 6.
        prune: Leave out n-grams seen at most so often, one number an order from 1 on (0 0 0 1: singletons of order 4).
    """

    vocabulary: Vocabulary = "words"
    valid: OptionalPath = None
    order: int = 4
    prune: Annotated[tuple[int, ...], unless_given("N [N ...]")] = ()


@dataclass(kw_only=True)
class Neural(Text):
    """Options of neural models that learn from text.

    Attributes:
        valid: Validation text: decides when to stop and which weights are kept.
        preset: Named settings (listed above, where the family has some) in place of the defaults shown here; any option
            given beside it overrides it.
        objective: likelihood of the text; or mwer: few word errors on n-best lists, a fine-tuning with options of its
            own (--objective mwer --help).
        init_from: Fine-tune: start from the weights of this trained folder and keep its vocabulary, normaliser and
            sizes.
        device: cpu, cuda, or auto.
        half: Store the weights as float16.
    """

    valid: Path
    preset: Annotated[str | None, unless_given("NAME")] = None
    objective: Objective = "likelihood"
    init_from: Annotated[Path | None, unless_given("DIR")] = None
    device: str = "auto"
    half: bool = False
    training: TrainingOptions
    network: NetworkConfig


@dataclass(kw_only=True)
class Pairs:
    """Options of neural models that learn from n-best lists with references what was said.

    Attributes:
        nbest: n-best lists with references to train on.
        valid_nbest: n-best lists with references that decide when to stop and which weights are kept.
        out: Folder of the model.
        objective: likelihood of what was said; or mwer: few word errors, a fine-tuning with options of its own
            (--objective mwer --help).
        pretrain_text: Text, one sentence a line, which the network first learns to restore from a version with the
            errors of the lists.
        pretrain_epochs: Passes over that text.
        noise: The errors of that version: words that the lists have for others, letters (and spaces) heard as others by
            what stands beside them, which makes words that no list has, or both, each for half of the sentences.
        normalizer: How references, hypotheses and text are normalised.
        vocabulary: Words, SentencePiece pieces, which can spell words never seen, or the file of a SentencePiece model.
        vocabulary_size: Number of tokens; by default every word, or 1,000 pieces, fewer for a small text.
        piece_dropout: Share of the joinings of bpe that are left out when what was heard is read in training, others in
            every epoch (Provilkov et al. 2020): words in smaller pieces, so that one never seen is read by its parts.
            By default 0.1, and 0 for a vocabulary that is not bpe.
        min_count: Words seen less often are unknown.
        jackknife: Also train this many models, each without the utterances and sentences of one part of the references,
            so that weights can be tuned on the lists trained on (0: none, else at least 2).
        device: cpu, cuda, or auto.
        half: Store the weights as float16.
    """

    nbest: tuple[Path, ...]
    valid_nbest: tuple[Path, ...]
    out: Path
    objective: Objective = "likelihood"
    pretrain_text: Annotated[tuple[Path, ...], unless_given("PATH [PATH ...]")] = ()
    pretrain_epochs: float = 5.0
    noise: Literal["words", "letters", "both"] = "words"
    normalizer: NormalizerName = TextOptions.normalizer
    vocabulary: Vocabulary = TextOptions.vocabulary
    vocabulary_size: OptionalInt = None
    piece_dropout: OptionalFloat = None
    min_count: int = TextOptions.min_count
    jackknife: int = 0
    device: str = "auto"
    half: bool = False
    training: TrainingOptions
    network: BirnnAttentionConfig


@dataclass(kw_only=True)
class Mixture:
    """Mixture of trained models: weights with the highest likelihood on a validation text.

    The folder names its members by path and fingerprint; it is a model like any other for --lm.

    Attributes:
        lm: Member: a trained folder, an ARPA or KenLM file, or "default"; NAME=PATH names it. Give two or more. Members
            over the same tokens are mixed token by token, others word by word.
        valid: Text that no member was trained on, one sentence a line (.gz and .zst are read).
        out: Folder of the mixture.
        kind: Weighted mean of the probabilities, or normalised product of their powers (causal models over the same
            tokens; every score then costs a distribution over all tokens).
        context: Read each sentence of the validation text from a fresh state, or all in order, recurrent members with
            their state carried over.
        copy: Copy the members into the folder instead of naming where they lie.
        device: cpu, cuda, or auto.
    """

    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    valid: Path
    out: Path
    kind: Literal["linear", "log-linear"] = "linear"
    context: Context = "sentence"
    copy: bool = False
    device: str = "auto"


Options: TypeAlias = Ngram | Neural | Pairs | WordErrors | Mixture

WITHOUT_NETWORK: dict[str, type[Ngram] | type[Mixture]] = {"ngram": Ngram, "mixture": Mixture}
"""Models that are no neural family."""

MODELS = ("ngram", *FAMILIES, HUGGING_FACE, "mixture")
"""What can be trained, in the order of the help."""

KINDS: dict[Material, type[Neural] | type[Pairs]] = {"text": Neural, "pairs": Pairs}
"""The options that families have in common, by what they learn from."""


def options_of(model: str) -> type[Any]:
    """The options of a model: of a family those of its kind, its own training defaults, and its sizes."""
    if model == HUGGING_FACE:
        return adapter_options()
    return WITHOUT_NETWORK[model] if model in WITHOUT_NETWORK else _options_of_family(FAMILIES[model])


def _options_of_family(family: Family) -> type[Any]:
    kind = KINDS[family.learns_from]
    training: Any = field(default_factory=lambda: TrainingOptions(**family.training))
    columns: list[Any] = [("training", tyro.conf.OmitArgPrefixes[TrainingOptions], training)]
    if "network" in kind.__dataclass_fields__:
        # The size of the vocabulary is no option: it comes from the text.
        hidden = [("vocabulary_size", Annotated[int, tyro.conf.Suppress], 1)]
        sizes: Any = make_dataclass("Sizes", hidden, bases=(family.sizes,), frozen=True)
        columns.append(("network", Annotated[sizes, tyro.conf.OmitArgPrefixes], field(default_factory=sizes)))
    return make_dataclass("Options", columns, bases=(kind,), kw_only=True, namespace={"__doc__": family.about})


def read_command_line(words: Sequence[str], description: str) -> tuple[str, Options]:
    """The model to train, which the first word names, and its options; ``description`` begins the help without one.

    Raises:
        InputError: a wrong command line.
    """
    model = next(iter(words), "")
    if model in MODELS:
        return model, _read_options(model, words[1:])
    if words and not model.startswith("-"):
        raise InputError(f"no model is called {model!r}; there are {', '.join(MODELS)}")
    parse_one_of({name: options_of(name) for name in MODELS}, "train", description)
    raise InputError(f"expected a model: one of {', '.join(MODELS)}")


def _read_options(model: str, words: Sequence[str]) -> Options:
    """The options of a model; a preset or a trained folder named there gives the defaults of the others."""
    if model in FAMILIES and _objective(words) == "mwer":
        kind = fine_tuning_options()
        read: Options = parse(kind, f"train {model}", None, words=words)
        return read
    kind = options_of(model)
    defaults = _unset(kind)
    if issubclass(kind, Neural):
        settings, words = _split_settings(in_one_form(words, kind))
        defaults = _with_settings(model, defaults, settings.preset, settings.init_from)
    read = parse(kind, f"train {model}", _about(model), words=words, default=defaults)
    return read


def _objective(words: Sequence[str]) -> str | None:
    """What ``--objective`` says, which decides what other options there are."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--objective")
    try:
        found: str | None = finder.parse_known_args(words)[0].objective
    except argparse.ArgumentError as error:
        raise InputError(error.message, field=error.argument_name) from None
    return found


def _about(model: str) -> str | None:
    """What the help of a family with presets begins with; that of the others begins with their docstring."""
    if model not in FAMILIES or not (presets := FAMILIES[model].presets):
        return None
    listed = "\n".join(f"  {name}: {preset.summary}" for name, preset in presets.items())
    return f"{FAMILIES[model].about}\n\nPresets (--preset NAME):\n{listed}"


def _split_settings(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """``--preset`` and ``--init-from``, which give the other options their defaults; and the words that are left.

    Raises:
        InputError: one of them without a value.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--preset")
    finder.add_argument("--init-from", "--init_from", type=Path)
    try:
        return finder.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise InputError(error.message, field=(error.argument_name or "").split("/")[0]) from None


def _unset(options: type[Any]) -> Any:
    """An instance that has the defaults of the options, and nothing where there is none."""
    required = [item.name for item in fields(options) if item.default is MISSING and item.default_factory is MISSING]
    return options(**dict.fromkeys(required, tyro.MISSING))


def _with_settings(model: str, defaults: Neural, preset: str | None, folder: Path | None) -> Neural:
    """The defaults as a trained folder and a preset set them."""
    if folder is not None:
        defaults = _as_trained(replace(defaults, init_from=folder), model, folder)
    if preset is None:
        return defaults
    found = find_preset(model, preset)
    return _with_values(replace(defaults, preset=preset), found.network, found.training, found.text)


def _with_values(
    defaults: Neural, network: Mapping[str, Any], training: Mapping[str, Any], text: Mapping[str, Any]
) -> Neural:
    sizes, options = replace(defaults.network, **network), replace(defaults.training, **training)
    return replace(defaults, network=sizes, training=options, **text)


def _as_trained(defaults: Neural, family: str, folder: Path) -> Neural:
    """The sizes and the text options of a trained folder."""
    from asr_lm.lm.training.initial import InitialModel

    initial = InitialModel.open(folder)
    if initial.family != family:
        raise InputError(f"holds a model of family {initial.family!r}, not {family!r}", file=folder)
    names = [item.name for item in fields(initial.sizes) if item.name != "vocabulary_size"]
    text = {"normalizer": initial.normalizer, "vocabulary": initial.vocabulary_option}
    return _with_values(defaults, {name: getattr(initial.sizes, name) for name in names}, {}, text)
