"""From n-best lists with references to the folder of a model that knows what was heard.

First, where text is given, the network learns to restore text that was corrupted with the confusions of the lists;
then it learns from the lists themselves. Both are runs of the common training loop, so a killed training goes on where
it was, in whichever of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch

from asr_lm.errors import InputError
from asr_lm.files import make_folder, write_text
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.families.birnn_attention import BirnnAttentionConfig, Heard
from asr_lm.lm.families.birnn_attention.network import BirnnAttentionModel, BirnnAttentionNetwork
from asr_lm.lm.folder import SENTENCES_FILE, check_unused
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE
from asr_lm.lm.training.confusions import Confusions
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences, text_identity
from asr_lm.lm.training.distributed import ALONE, Processes, shared
from asr_lm.lm.training.edit_channel import EditChannel
from asr_lm.lm.training.loop import CURVE_FILE, train_network
from asr_lm.lm.training.options import Fold, TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult
from asr_lm.lm.training.pairs import (
    ListedPairs,
    MixedNoise,
    Noise,
    NoisyPairs,
    PairBatches,
    RespeltPairs,
    encode_sources,
)
from asr_lm.lm.training.text_vocabulary import make_vocabulary
from asr_lm.lm.weights_file import read_weights, write_weights
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.piece_dropout import DROPPED, PieceDropout
from asr_lm.text.sentence_hashes import SentenceHashes, fold_of
from asr_lm.text.vocabulary import Vocabulary
from asr_lm.text.vocabulary_folder import load_vocabulary

FAMILY = "birnn-attention"

NoiseKind = Literal["words", "letters", "both"]
"""How text is corrupted: with confusions of words, of letters, or each for half of the sentences."""

NOISES: dict[str, type[Confusions] | type[EditChannel]] = {"words": Confusions, "letters": EditChannel}

PRETRAINING = "pretraining"
"""Folder of the first run, and name of its curve."""

_PRETRAINED_FILE = "pretrained.safetensors"
MOST_PIECES = 1000
"""SentencePiece pieces where nothing else is asked for, and the text is enough for them."""

_ORIGIN_FILE = "vocabulary.json"


@dataclass(frozen=True)
class ListOptions:
    """What a model is trained on.

    Attributes:
        nbest: lists with references.
        valid: lists with references that decide when to stop and which weights are kept.
        texts: text to restore before the lists, one sentence a line.
        normalizer: name of the normaliser of references, hypotheses and text.
        vocabulary: ``words``, ``bpe`` or ``unigram`` (SentencePiece), or the file of a SentencePiece model.
        vocabulary_size: number of tokens; None is every word, or 1,000 pieces, fewer for a small text.
        min_count: words seen less often are unknown.
        noise: how text is corrupted: ``words`` (:mod:`~asr_lm.lm.training.confusions`), ``letters``
            (:mod:`~asr_lm.lm.training.edit_channel`), or ``both``, each for half of the sentences.
        piece_dropout: share of the joinings of ``bpe`` that are left out when a source is read in training
            (:mod:`asr_lm.text.piece_dropout`); None is :data:`~asr_lm.text.piece_dropout.DROPPED` for byte pair
            encoding and 0 for another vocabulary.
        fold: leave out fold ``i`` of ``K``: the utterances and sentences whose reference falls into it.
    """

    nbest: tuple[Path, ...]
    valid: tuple[Path, ...]
    texts: tuple[Path, ...] = ()
    normalizer: str = "librispeech"
    vocabulary: str = "bpe"
    vocabulary_size: int | None = None
    min_count: int = 1
    noise: NoiseKind = "words"
    piece_dropout: float | None = None
    fold: Fold | None = None


@dataclass(frozen=True)
class ReferencedList:
    """Normalised. Attributes: reference; hypotheses, the recogniser's first choice first."""

    reference: str
    hypotheses: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """Everything that is trained on, without the fold left out. Attributes: lists, validation lists, texts."""

    lists: list[ReferencedList]
    valid: list[ReferencedList]
    texts: list[str]

    @classmethod
    def read(cls, options: ListOptions) -> Material:
        """Read lists and texts.

        Raises:
            InputError: one cannot be read, an utterance has no reference, or nothing is left.
        """
        lists = read_lists(options.nbest, options.normalizer)
        if options.fold is not None:
            folds = fold_of([some.reference for some in lists], options.fold[1]).tolist()
            lists = [some for some, fold in zip(lists, folds, strict=True) if fold != options.fold[0]]
        if not lists:
            raise InputError("no utterance is left to train on", file=", ".join(map(str, options.nbest)))
        texts = list(read_sentences(options.texts, options.normalizer, options.fold))
        if options.texts and not texts:
            raise InputError("no sentence in the text", file=", ".join(map(str, options.texts)))
        return cls(lists, read_lists(options.valid, options.normalizer), texts)

    @cached_property
    def targets(self) -> list[str]:
        """References and texts."""
        return [*(some.reference for some in self.lists), *self.texts]

    def batches(
        self, vocabulary: Vocabulary, heard: Heard, options: TrainingOptions, dropout: PieceDropout | None
    ) -> tuple[PairBatches, PairBatches]:
        """Training and validation batches of the lists; ``dropout`` reads the sources of training."""
        heard_said = heard_and_said(self.lists, every=heard == "first")
        train = (
            encoded_pairs(heard_said, vocabulary, heard)
            if dropout is None
            else RespeltPairs(heard_said, vocabulary, heard, dropout, options.seed)
        )
        valid = encoded_pairs(heard_and_said(self.valid), vocabulary, heard)
        budget = options.batch_tokens
        return (
            PairBatches(train, vocabulary, budget, options.seed),
            PairBatches(valid, vocabulary, 2 * budget, None),
        )

    def noise(self, kind: NoiseKind) -> Noise:
        """The errors of the lists."""
        lists = [(some.reference, some.hypotheses) for some in self.lists]
        kinds = [*NOISES] if kind == "both" else [kind]
        return MixedNoise([NOISES[name].learn(lists) for name in kinds])

    def noisy_batches(
        self,
        kind: NoiseKind,
        vocabulary: Vocabulary,
        heard: Heard,
        options: TrainingOptions,
        dropout: PieceDropout | None,
    ) -> PairBatches:
        """Training batches of the texts, corrupted with errors as the lists have them."""
        pairs = NoisyPairs(self.texts, self.noise(kind), vocabulary, heard, options.seed, dropout)
        return PairBatches(pairs, vocabulary, options.batch_tokens, options.seed)

    def digest(self) -> str:
        """Hexadecimal digest of everything."""
        parts = [[asdict(some) for some in lists] for lists in (self.lists, self.valid)]
        return hashlib.blake2b(json.dumps([*parts, self.texts]).encode(), digest_size=16).hexdigest()


def read_lists(paths: Sequence[Path], normalizer: str) -> list[ReferencedList]:
    """Normalised lists.

    Raises:
        InputError: as the readers raise it; an utterance has no reference; the normaliser loses most of the references.
    """
    normalize, lost = get_normalizer(normalizer), LostLetters(normalizer)
    lists = []
    for path in paths:
        for utterance in read_nbest(str(path)):
            if utterance.reference is None:
                raise InputError("no reference; every list trained on needs one", file=path, utterance=utterance.id)
            hypotheses = tuple(normalize(hypothesis.text) for hypothesis in utterance.hypotheses)
            lost.add(utterance.reference)
            lists.append(ReferencedList(normalize(utterance.reference), hypotheses))
    lost.check("normalizer")
    return lists


def heard_and_said(lists: Sequence[ReferencedList], *, every: bool = False) -> list[tuple[list[str], str]]:
    """Distinct hypotheses and reference of each list; with ``every`` a pair for every distinct hypothesis."""
    pairs: list[tuple[list[str], str]] = []
    for some in lists:
        distinct = list(dict.fromkeys(some.hypotheses))
        pairs += [([text], some.reference) for text in distinct] if every else [(distinct, some.reference)]
    return pairs


def encoded_pairs(heard_said: Sequence[tuple[list[str], str]], vocabulary: Vocabulary, heard: Heard) -> ListedPairs:
    """The same pairs as token ids."""
    sources = encode_sources([texts for texts, _ in heard_said], vocabulary, heard)
    return ListedPairs(sources, vocabulary.encode_batch([said for _, said in heard_said]))


def train_on_lists(
    sizes: BirnnAttentionConfig,
    lists: ListOptions,
    options: TrainingOptions,
    folder: Path,
    *,
    pretraining_epochs: float = 5.0,
    device: str = "cpu",
    half: bool = False,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    processes: Processes = ALONE,
    asked: Mapping[str, Any] | None = None,
) -> tuple[BirnnAttentionModel, TrainingResult]:
    """Train a model on lists and write its folder.

    Args:
        sizes: of the network; the vocabulary's takes the place of theirs.
        lists: what to train on.
        options: how.
        folder: an unfinished training found there is taken up; a finished one is an error.
        pretraining_epochs: passes over the text that is corrupted, if there is any.
        device: ``cpu`` or ``cuda``.
        half: store float16.
        report: called after every step.
        processes: those that train together; the first of them writes the folder.
        asked: what the model was asked for, to keep in ``config.json``.

    Raises:
        InputError: unreadable or empty lists or text, a missing reference, or a folder that is in use.
    """
    check_unused(folder)
    material = Material.read(lists)
    with processes.first_goes_ahead():
        vocabulary = _vocabulary(lists, material, folder)
    torch.manual_seed(options.seed)
    network = BirnnAttentionNetwork(replace(sizes, vocabulary_size=vocabulary.size)).to(device)
    dropped = lists.piece_dropout
    if dropped is None:
        dropped = 0.0 if vocabulary.ranks() is None else DROPPED
    dropout = PieceDropout(vocabulary, dropped) if dropped else None
    identity = {
        "lists": material.digest(),
        "network": asdict(network.config),
        "pretraining": pretraining_epochs,
        "noise": lists.noise,
        "piece dropout": dropped,
    }
    train, valid = material.batches(vocabulary, network.config.heard, options, dropout)
    said = TokenCorpus.from_sentences([some.reference for some in material.valid], vocabulary)
    learn = partial(
        train_network,
        valid=shared(valid, processes),
        identity=identity,
        report=report,
        processes=processes,
        tokens_per_word=said.tokens_per_word,
    )
    if material.texts:
        first = replace(options, epochs=pretraining_epochs)
        torch.manual_seed(options.seed + processes.rank)
        noisy = partial(material.noisy_batches, lists.noise, vocabulary, network.config.heard, options, dropout)
        _pretrain(network, noisy, learn, first, folder / PRETRAINING, identity, processes)
    torch.manual_seed(options.seed + processes.rank)  # each process drops units of its own
    result = learn(network, train=shared(train, processes), options=options, folder=folder)
    model = BirnnAttentionModel(FAMILY, network, vocabulary, lists.normalizer)
    if processes.is_first:
        SentenceHashes.from_sentences(material.targets).save(folder / SENTENCES_FILE)
        facts = {"sentences": len(material.targets), "lists": len(material.lists), "options": asdict(options)}
        facts["asked"] = asked
        model.save(folder, half=half, training={**asdict(result), **facts, "pretraining_epochs": pretraining_epochs})
        _clear_away(folder)
    processes.wait()
    return model, result


def _pretrain(
    network: BirnnAttentionNetwork,
    noisy: Callable[[], PairBatches],
    learn: Callable[..., TrainingResult],
    options: TrainingOptions,
    folder: Path,
    identity: dict[str, Any],
    processes: Processes,
) -> None:
    """Learn to restore corrupted text; weights found in ``folder`` are taken where that was done before."""
    done = folder / _PRETRAINED_FILE
    if done.exists():
        if (folder / _ORIGIN_FILE).read_text() != json.dumps([identity, asdict(options)]):
            raise InputError("an unfinished training with other settings lies here; remove it", file=folder.parent)
        read_weights(done, network)
        return
    learn(network, train=shared(noisy(), processes), options=options, folder=folder)
    if processes.is_first:
        write_text(folder / _ORIGIN_FILE, json.dumps([identity, asdict(options)]))
        write_weights(done, network)


def _vocabulary(lists: ListOptions, material: Material, folder: Path) -> Vocabulary:
    """The vocabulary of references, hypotheses and texts; an unfinished training's is taken from ``folder``."""
    files = [text_identity(path) for path in (*lists.nbest, *lists.texts)]
    origin = json.dumps([files, asdict(lists)], default=str)
    origin_file = folder / _ORIGIN_FILE
    if origin_file.exists() and origin_file.read_text() == origin:
        return load_vocabulary(folder)
    make_folder(folder)
    vocabulary = _build_vocabulary(lists, material)
    vocabulary.save(folder)
    write_text(origin_file, origin)
    return vocabulary


def _build_vocabulary(lists: ListOptions, material: Material) -> Vocabulary:
    distinct = [text for some in material.lists for text in dict.fromkeys(some.hypotheses)]
    sentences = [*material.targets, *distinct]
    return make_vocabulary(
        lists.vocabulary,
        lambda: sentences,
        size=lists.vocabulary_size,
        most_pieces=MOST_PIECES,
        min_count=lists.min_count,
    )


def _clear_away(folder: Path) -> None:
    """Remove what only the training needed; the curve of the pre-training stays."""
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    (folder / _ORIGIN_FILE).unlink(missing_ok=True)
    if (curve := folder / PRETRAINING / CURVE_FILE).exists():
        write_text(folder / f"{PRETRAINING}.jsonl", curve.read_text())
    shutil.rmtree(folder / PRETRAINING, ignore_errors=True)
