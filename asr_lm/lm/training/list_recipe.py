"""Fine-tuning on weighed lists: from a trained model to the folder of one that makes fewer word errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from asr_lm.errors import InputError
from asr_lm.lm.families.registry import FAMILIES
from asr_lm.lm.folder import SENTENCES_FILE, check_unused
from asr_lm.lm.neural import Network, NeuralModel
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.lm.training.batches import Batch, SentenceBatches
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences, text_identity
from asr_lm.lm.training.distributed import ALONE, Processes, shared
from asr_lm.lm.training.list_batches import ListBatches, Rows, WeighedList, nothing_to_learn, text_rows
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.minimum_word_error import Combination, MinimumWordErrorNetwork
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult
from asr_lm.lm.training.pairs import pair_batch
from asr_lm.text.sentence_hashes import SentenceHashes
from asr_lm.text.vocabulary import Vocabulary

OBJECTIVE = "mwer"
"""What ``--objective`` and ``config.json`` call it."""


class Learner(Protocol):
    """A model that can be fine-tuned on lists.

    Attributes:
        network: what learns.
        vocabulary: cuts texts into tokens.
        normalizer: name of what texts go through before.
        rows: how texts become rows of a batch.
    """

    network: Network
    vocabulary: Vocabulary
    normalizer: str
    rows: Rows

    def digest(self) -> str:
        """Hexadecimal digest of what the training begins with."""

    def save(self, folder: Path, *, half: bool, training: dict[str, Any]) -> None:
        """Write what came of it, with facts of the training."""


class NeuralLearner:
    """A network of this package, all of whose weights learn.

    Args:
        model: a language model.
        dropout: share dropped in training; None keeps the model's own.
    """

    def __init__(self, model: NeuralModel, dropout: float | None = None) -> None:
        self._model = model
        self.vocabulary, self.normalizer = model.vocabulary, model.normalizer
        self.rows: Rows = listening_rows(model) if isinstance(model, ConditionalModel) else text_rows(model.vocabulary)
        self._digest = model.fingerprint()
        if dropout is not None:
            model.network = _with_dropout(model, dropout)
        self.network = model.network

    def digest(self) -> str:
        return self._digest

    def save(self, folder: Path, *, half: bool, training: dict[str, Any]) -> None:
        self._model.save(folder, half=half, training=training)


def listening_rows(model: ConditionalModel) -> Rows:
    """Rows of a model that reads what the recogniser heard beside each text."""

    def rows(lists: Sequence[WeighedList], texts: Sequence[Sequence[str]]) -> Batch:
        sources = model.sources([some.heard for some in lists])
        repeated = [source for source, some in zip(sources, texts, strict=True) for _ in some]
        targets = model.vocabulary.encode_batch([text for some in texts for text in some])
        return pair_batch(repeated, targets, model.vocabulary)

    return rows


def _with_dropout(model: NeuralModel, dropout: float) -> Network:
    """The same weights in a network that drops another share; of recurrent weights where it drops some of these."""
    config = model.network.config
    shares = {name: dropout for name in ("dropout", "attention_dropout") if hasattr(config, name)}
    if getattr(config, "recurrent_dropout", 0.0):
        shares["recurrent_dropout"] = dropout
    sizes = replace(config, **shares)  # type: ignore[arg-type]
    network = FAMILIES[model.family].make_network(sizes).to(model.network.device)
    network.load_state_dict(model.network.state_dict())
    return network


@dataclass(frozen=True)
class ListMaterial:
    """What a model is fine-tuned on.

    Attributes:
        lists: what it learns from.
        valid: lists that decide when to stop and which weights are kept.
        combination: how its score counts.
        seen: fingerprint of all references and texts that it and the model before have learnt from.
        most: hypotheses of a list that a step reads.
        text: sentences that join the references in the likelihood.
    """

    lists: Sequence[WeighedList]
    valid: Sequence[WeighedList]
    combination: Combination
    seen: SentenceHashes
    most: int = 16
    text: tuple[Path, ...] = ()

    def telling(self) -> Sequence[WeighedList]:
        """The lists that are learnt from: one without a choice has no gradient but that of its likelihood.

        Raises:
            InputError: there is none.
        """
        found = [some for some in self.lists if some.tells]
        if not found:
            raise nothing_to_learn()
        if not self.combination.likelihood:
            return found
        return [some if some.tells else some.only(np.array([some.before.argmax()])) for some in self.lists]

    def digest(self) -> str:
        """Hexadecimal digest of texts and errors."""
        parts = [
            [(some.reference, some.hypotheses, some.errors.tolist()) for some in lists]
            for lists in (self.lists, self.valid)
        ]
        told = json.dumps([*parts, list(map(text_identity, self.text))], default=str)
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def fine_tune_on_lists(
    learner: Learner,
    material: ListMaterial,
    options: TrainingOptions,
    folder: Path,
    *,
    half: bool = False,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    processes: Processes = ALONE,
    asked: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Fine-tune a model for few expected word errors and write its folder.

    The weights of the best validation are kept, and those of the model before where none are better.

    Args:
        learner: the model, on the device where it learns.
        material: what on.
        options: how.
        folder: an unfinished training found there is taken up; a finished one is an error.
        half: store float16.
        report: called after every step.
        processes: those that train together; the first of them writes the folder.
        asked: what the model was asked for, to keep in ``config.json``.
        facts: more to keep there.

    Raises:
        InputError: lists that tell nothing, unreadable text, or a folder that is in use.
    """
    check_unused(folder)
    telling = material.telling()
    torch.manual_seed(options.seed + processes.rank)  # each process drops units of its own
    network = MinimumWordErrorNetwork(learner.network, material.combination)
    budget, most, seed = options.batch_tokens, material.most, options.seed
    text = _text_batches(material, learner, budget, seed)
    train = ListBatches(telling, learner.rows, learner.vocabulary, budget, most, seed, text)
    valid = ListBatches(material.valid, learner.rows, learner.vocabulary, 2 * budget, most, None)
    result = train_network(
        network,
        shared(train, processes),
        shared(valid, processes),
        options,
        folder,
        identity={"initial weights": learner.digest(), "lists": material.digest(), "asked": asked},
        report=report,
        processes=processes,
        initial_counts=True,
    )
    if processes.is_first:
        material.seen.save(folder / SENTENCES_FILE)
        told = {**asdict(result), "objective": OBJECTIVE, **asdict(material.combination), **(facts or {})}
        told |= {"lists": len(telling), "options": asdict(options), "asked": asked}
        learner.save(folder, half=half, training=told)
        (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    processes.wait()
    return result


def _text_batches(material: ListMaterial, learner: Learner, budget: int, seed: int) -> SentenceBatches | None:
    """The text of the likelihood; raises InputError where there is no sentence in it."""
    if not material.text:
        return None
    corpus = TokenCorpus.from_sentences(read_sentences(material.text, learner.normalizer), learner.vocabulary)
    if not len(corpus):
        raise InputError("no sentence in the text", file=", ".join(map(str, material.text)))
    return SentenceBatches(corpus, learner.vocabulary, budget, seed)
