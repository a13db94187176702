"""From text files to a model folder: vocabulary, token ids on disk, estimation or training loop, folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from asr_lm.errors import InputError
from asr_lm.files import make_folder, write_text
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.folder import SENTENCES_FILE, check_unused, trained_sentences
from asr_lm.lm.neural import CausalNetwork, Network, NeuralModel
from asr_lm.lm.sizes import NetworkConfig
from asr_lm.lm.training.batches import BatchSource, NoisyBatches, SentenceBatches, StreamBatches, WindowBatches
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences, text_identity
from asr_lm.lm.training.distributed import ALONE, Processes, shared
from asr_lm.lm.training.initial import InitialModel
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import MOST_PIECES, VOCABULARY_KINDS, TextOptions, TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult
from asr_lm.lm.training.text_vocabulary import make_vocabulary
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import (
    PIECES_FILE,
    WORDS_FILE,
    Vocabulary,
)
from asr_lm.text.vocabulary_folder import load_vocabulary

if TYPE_CHECKING:
    from asr_lm.lm.families.ngram import NgramTraining

CORPUS_FOLDER = "corpus"


def build_vocabulary(options: TextOptions, folder: Path) -> Vocabulary:
    """The vocabulary for a training text; an unfinished training's is taken from ``folder``.

    Raises:
        InputError: ``folder`` holds a finished model.
    """
    check_unused(folder)
    origin_file = folder / CORPUS_FOLDER / "vocabulary.json"
    origin = json.dumps([*map(str, _described(options))])
    has_vocabulary = any((folder / name).exists() for name in (WORDS_FILE, PIECES_FILE))
    if has_vocabulary and origin_file.exists() and origin_file.read_text() == origin:
        return load_vocabulary(folder)
    vocabulary = make_vocabulary(
        options.vocabulary,
        lambda: read_sentences(options.texts, options.normalizer, options.fold),
        size=options.vocabulary_size,
        most_pieces=MOST_PIECES,
        min_count=options.min_count,
    )
    make_folder(folder / CORPUS_FOLDER)
    for name in (WORDS_FILE, PIECES_FILE):
        (folder / name).unlink(missing_ok=True)
    vocabulary.save(folder)
    write_text(origin_file, origin)
    return vocabulary


def _described(options: TextOptions) -> list[object]:
    """What the vocabulary depends on."""
    files = [text_identity(path) for path in options.texts]
    if options.vocabulary not in VOCABULARY_KINDS:
        files.append(text_identity(options.vocabulary))
    return [files, options.normalizer, options.vocabulary, options.vocabulary_size, options.min_count, options.fold]


def train_ngram_model(
    text: TextOptions,
    folder: Path,
    *,
    order: int,
    prune: Sequence[int] = (),
    binary: bool = True,
    asked: Mapping[str, Any] | None = None,
) -> NgramTraining:
    """Estimate an n-gram model on text and write its folder; the arguments are those of ``train_ngram``.

    Raises:
        InputError: unreadable or empty text, an impossible order or pruning.
    """
    from asr_lm.lm.families.ngram import train_ngram
    from asr_lm.lm.ngrams.kneser_ney import check_order, pruning_thresholds

    pruning_thresholds(prune, check_order(order))
    vocabulary = build_vocabulary(text, folder)
    corpus = TokenCorpus.build(text.texts, vocabulary, text.normalizer, folder / CORPUS_FOLDER, text.fold)
    _keep_sentence_hashes(text, folder)
    result = train_ngram(
        corpus, vocabulary, text.normalizer, folder, order=order, prune=prune, binary=binary, asked=asked
    )
    _clear_away(folder)
    return result


def _keep_sentence_hashes(text: TextOptions, folder: Path, initial: InitialModel | None = None) -> None:
    """Write the fingerprint of the training sentences; before ``config.json``, so that no whole folder lacks it."""
    hashes = SentenceHashes.from_sentences(read_sentences(text.texts, text.normalizer, text.fold))
    seen_before = None if initial is None else trained_sentences(initial.folder)
    (hashes if seen_before is None else hashes | seen_before).save(folder / SENTENCES_FILE)


def _clear_away(folder: Path) -> None:
    """Remove what only the training needed."""
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / CORPUS_FOLDER, ignore_errors=True)


def train_model(
    family: str,
    sizes: NetworkConfig,
    text: TextOptions,
    options: TrainingOptions,
    folder: Path,
    *,
    device: str = "cpu",
    half: bool = False,
    initial: InitialModel | None = None,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    processes: Processes = ALONE,
    asked: Mapping[str, Any] | None = None,
) -> tuple[NeuralModel, TrainingResult]:
    """Train a network on text and write its folder.

    Args:
        family: name of the family.
        sizes: of the network; the vocabulary's takes the place of theirs.
        text: what to train on.
        options: how.
        folder: an unfinished training found there is taken up; a finished one is an error.
        device: ``cpu`` or ``cuda``.
        half: store float16.
        initial: a trained model to start from; its vocabulary is kept.
        report: called after every step.
        processes: those that train together; the first of them writes the folder.
        asked: what the model was asked for, to keep in ``config.json``.

    Raises:
        InputError: unreadable or empty text, a folder that is in use, or an initial model that does not fit.
    """
    if options.context == "stream" and not FAMILIES[family].streams:
        raise InputError(f"a model of family {family!r} reads sentence by sentence, not a stream", parameter="context")
    if options.short_windows and not (options.context == "stream" and _reads_windows(FAMILIES[family].network_class())):
        raise InputError("is for a transformer that is trained with `context=stream`", parameter="short_windows")
    if text.valid is None:
        raise InputError("a neural model needs a validation text", parameter="valid")
    if next(read_sentences([text.valid], text.normalizer), None) is None:
        raise InputError("no sentence in the validation text", file=text.valid)
    check_unused(folder)
    if initial is not None:
        initial.check(family, sizes, text)
    with processes.first_goes_ahead():
        vocabulary = build_vocabulary(text, folder) if initial is None else initial.vocabulary
        corpus = TokenCorpus.build(text.texts, vocabulary, text.normalizer, folder / CORPUS_FOLDER, text.fold)
    if initial is not None:
        initial.check_text(corpus, read_sentences(text.texts, text.normalizer, text.fold))
    valid = TokenCorpus.from_sentences(read_sentences([text.valid], text.normalizer), vocabulary)
    torch.manual_seed(options.seed)
    network = FAMILIES[family].make_network(replace(sizes, vocabulary_size=vocabulary.size)).to(device)
    network.prepare(torch.from_numpy(corpus.counts(vocabulary)).to(device))
    _initialise(network, options, initial)
    if not processes.is_first:  # each drops units of its own
        torch.manual_seed(options.seed + processes.rank)
    identity = {
        "text": corpus.digest,
        "validation text": valid.digest,
        "network": asdict(network.config),
        "initial weights": None if initial is None else initial.digest(),
    }
    batches = make_batches(network, corpus, valid, vocabulary, options, processes.count)
    own = [shared(source, processes) for source in batches]
    result = train_network(
        network,
        own[0],
        own[1],
        options,
        folder,
        identity=identity,
        report=report,
        processes=processes,
        tokens_per_word=valid.tokens_per_word,
    )
    model = FAMILIES[family].model_class()(family, network, vocabulary, text.normalizer)
    model.trained_on = options.context
    facts = {**asdict(result), "words": corpus.words, "sentences": len(corpus), "options": asdict(options)}
    facts["asked"] = asked
    if processes.is_first:
        _keep_sentence_hashes(text, folder, initial)
        model.save(folder, half=half, training=facts)
        _clear_away(folder)
    processes.wait()
    return model, result


def _initialise(network: Network, options: TrainingOptions, initial: InitialModel | None) -> None:
    """Weights other than the network's own at the start."""
    if initial is not None:
        initial.load_into(network)
    elif options.initial_range:
        for parameter in network.parameters():
            if parameter.requires_grad:
                torch.nn.init.uniform_(parameter, -options.initial_range, options.initial_range)


def _reads_windows(kind: type[Network]) -> bool:
    """Whether a network reads a stream in windows, since it has no state to carry."""
    return issubclass(kind, CausalNetwork) and not kind.has_state


def make_batches(
    network: Network,
    corpus: TokenCorpus,
    valid: TokenCorpus,
    vocabulary: Vocabulary,
    options: TrainingOptions,
    processes: int = 1,
) -> tuple[BatchSource, BatchSource]:
    """Training and validation batches, of all processes, for the context and the noise the options ask for."""
    train, validation = _clean_batches(network, corpus, valid, vocabulary, options, processes)
    if options.input_noise:
        train = NoisyBatches(train, options.input_noise, corpus.counts(vocabulary), vocabulary, options.seed)
    return train, validation


def _clean_batches(
    network: Network,
    corpus: TokenCorpus,
    valid: TokenCorpus,
    vocabulary: Vocabulary,
    options: TrainingOptions,
    processes: int,
) -> tuple[BatchSource, BatchSource]:
    if options.context == "stream":
        rows, steps = max(1, options.batch_tokens // options.bptt), options.bptt
        valid_batches = StreamBatches(valid, vocabulary, min(processes * rows, 10), steps)
        if _reads_windows(type(network)):
            short = options.short_windows * options.epochs
            return WindowBatches(corpus, vocabulary, options.batch_tokens, steps, options.seed, short), valid_batches
        return StreamBatches(corpus, vocabulary, processes * rows, steps), valid_batches
    return (
        SentenceBatches(corpus, vocabulary, options.batch_tokens, options.seed),
        SentenceBatches(valid, vocabulary, 2 * options.batch_tokens, None),
    )
