"""From a GPT-1 and n-best lists with references to the folder of a model that chooses from lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_lm.errors import InputError
from asr_lm.evaluation.word_errors import count_errors
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Model
from asr_lm.lm.families.gpt1_choice import ChoiceTarget, Gpt1ChoiceConfig
from asr_lm.lm.families.gpt1_choice.network import Gpt1ChoiceModel, Gpt1ChoiceNetwork
from asr_lm.lm.folder import SENTENCES_FILE, check_unused, trained_sentences
from asr_lm.lm.loading import load_model
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE
from asr_lm.lm.training.distributed import ALONE, Processes, shared
from asr_lm.lm.training.list_batches import EncodedList, ListBatches
from asr_lm.lm.training.loop import TrainingProgress, TrainingResult, train_network
from asr_lm.lm.training.options import Fold, TrainingOptions
from asr_lm.lm.training.pair_recipe import ReferencedList, read_lists
from asr_lm.text.sentence_hashes import SentenceHashes, fold_of
from asr_lm.text.vocabulary import Vocabulary

FAMILY = "gpt1-choice"


@dataclass(frozen=True)
class ChoiceOptions:
    """What is fine-tuned, and on what.

    Attributes:
        initial: a trained ``gpt1`` folder, a folder with OpenAI's, or ``hf:openai-community/openai-gpt``.
        nbest: lists with references.
        valid: lists with references that decide when to stop and which weights are kept.
        target, auxiliary: see :class:`~asr_lm.lm.families.gpt1_choice.Gpt1ChoiceConfig`.
        dropout: share dropped; None takes the initial model's.
        fold: leave out fold ``i`` of ``K``: the utterances whose reference falls into it.
    """

    initial: str
    nbest: tuple[Path, ...]
    valid: tuple[Path, ...]
    target: ChoiceTarget = "errors"
    auxiliary: float = 0.5
    dropout: float | None = None
    fold: Fold | None = None


def fine_tune_on_lists(
    choice: ChoiceOptions,
    options: TrainingOptions,
    folder: Path,
    *,
    device: str = "cpu",
    half: bool = False,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    processes: Processes = ALONE,
    asked: Mapping[str, Any] | None = None,
) -> tuple[Gpt1ChoiceModel, TrainingResult]:
    """Train a model on lists and write its folder.

    Args:
        choice: what on.
        options: how.
        folder: an unfinished training found there is taken up; a finished one is an error.
        device: ``cpu`` or ``cuda``.
        half: store float16.
        report: called after every step.
        processes: those that train together; the first of them writes the folder.
        asked: what the model was asked for, to keep in ``config.json``.

    Raises:
        InputError: no GPT-1 to begin with, unreadable or empty lists, a missing reference, a folder that is in use.
    """
    check_unused(folder)
    initial = load_model(choice.initial)
    if not isinstance(initial, Gpt1Model):
        raise InputError(f"expected a model of family 'gpt1', not {initial.family!r}", file=choice.initial)
    lists = _without_fold(read_lists(choice.nbest, initial.normalizer), choice.fold)
    if not lists:
        raise InputError("no utterance is left to train on", file=", ".join(map(str, choice.nbest)))
    train = encode_lists(lists, initial.vocabulary)
    valid = encode_lists(read_lists(choice.valid, initial.normalizer), initial.vocabulary)
    torch.manual_seed(options.seed)
    network = _begin(initial, choice).to(device)
    torch.manual_seed(options.seed + processes.rank)  # each process drops units of its own
    result = train_network(
        network,
        shared(ListBatches(train, initial.vocabulary, options.batch_tokens, options.seed), processes),
        shared(ListBatches(valid, initial.vocabulary, 2 * options.batch_tokens, None), processes),
        options,
        folder,
        identity={"initial": initial.fingerprint(), "network": asdict(network.config), "lists": _described(choice)},
        report=report,
        processes=processes,
    )
    model = Gpt1ChoiceModel(FAMILY, network, initial.vocabulary, initial.normalizer)
    if processes.is_first:
        _seen(lists, choice.initial).save(folder / SENTENCES_FILE)
        facts = {**asdict(result), "lists": len(lists), "options": asdict(options), "asked": asked}
        model.save(folder, half=half, training=facts)
        (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    processes.wait()
    return model, result


def encode_lists(lists: Sequence[ReferencedList], vocabulary: Vocabulary) -> list[EncodedList]:
    """Normalised lists as token ids; a hypothesis that stands in a list twice is one."""
    encoded = []
    for some in lists:
        texts = list(dict.fromkeys(some.hypotheses))
        counts = count_errors([some.reference] * len(texts), texts)
        errors = counts[:, :3].sum(1).astype(np.int64)
        encoded.append(EncodedList(vocabulary.encode_batch(texts), errors, vocabulary.encode(some.reference)))
    return encoded


def _begin(initial: Gpt1Model, choice: ChoiceOptions) -> Gpt1ChoiceNetwork:
    """The initial network under a fresh head."""
    sizes = {item.name: getattr(initial.network.config, item.name) for item in fields(Gpt1Config)}
    if choice.dropout is not None:
        sizes["dropout"] = sizes["attention_dropout"] = choice.dropout
    network = Gpt1ChoiceNetwork(Gpt1ChoiceConfig(**sizes, target=choice.target, auxiliary=choice.auxiliary))
    network.language.load_state_dict(initial.network.state_dict())
    return network


def _without_fold(lists: list[ReferencedList], fold: Fold | None) -> list[ReferencedList]:
    if fold is None:
        return lists
    folds = fold_of([some.reference for some in lists], fold[1]).tolist()
    return [some for some, number in zip(lists, folds, strict=True) if number != fold[0]]


def _described(choice: ChoiceOptions) -> list[object]:
    return [[str(path) for path in (*choice.nbest, *choice.valid)], choice.fold]


def _seen(lists: Sequence[ReferencedList], initial: str) -> SentenceHashes:
    """Fingerprint of the references, and of what the initial model was trained on where that is known."""
    seen = SentenceHashes.from_sentences([some.reference for some in lists])
    before = trained_sentences(Path(initial))
    return seen if before is None else seen | before
