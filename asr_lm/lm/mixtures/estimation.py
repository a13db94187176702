"""From trained models to the folder of their mixture: weights, training sentences, jackknife models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from asr_lm.errors import InputError
from asr_lm.lm.folder import SENTENCES_FILE, check_unused, fold_folder, fold_folders, trained_sentences
from asr_lm.lm.mixtures.linear import Interpolation, LinearMixture, interpolate, validation_log_probs
from asr_lm.lm.mixtures.log_linear import LogLinearMixture, interpolate_log_linearly
from asr_lm.lm.mixtures.members import Member, Mixture, MixtureRecord, same_normalizer
from asr_lm.lm.protocol import Ranker, language_model
from asr_lm.lm.training.corpus import TokenCorpus, read_sentences
from asr_lm.text.sentence_hashes import SentenceHashes

Kind = Literal["linear", "log-linear"]


@dataclass(frozen=True, eq=False)
class MixtureTraining:
    """What making a mixture gave.

    Attributes:
        mixture: the model.
        interpolation: its weights, and how they were found.
        alone: perplexity of the validation text a token (or word) under each member; infinite where a member lacks
            words that another one has.
        overlaps: share of the validation sentences in the training text of each member, by name.
        folds: number of jackknife mixtures.
        tokens_per_word: of the validation text in the mixture's tokens, ``</s>`` one of each; 1 where words are mixed.
    """

    mixture: Mixture
    interpolation: Interpolation
    alone: list[float]
    overlaps: dict[str, float]
    folds: int
    tokens_per_word: float

    @property
    def perplexity(self) -> float:
        """Perplexity of the validation text under the mixture, as in :attr:`alone`."""
        return float(np.exp(-self.interpolation.log_likelihood[-1]))

    def per_word(self, perplexity: float) -> float:
        """The perplexity a word for one as in :attr:`alone`."""
        try:
            return float(perplexity**self.tokens_per_word)
        except OverflowError:
            return math.inf


def train_mixture(
    members: Sequence[Member],
    valid: Path,
    folder: Path,
    *,
    kind: Kind = "linear",
    carry_state: bool = False,
    copy: bool = False,
    open_model: Callable[[Path], Ranker],
    asked: Mapping[str, Any] | None = None,
) -> MixtureTraining:
    """Find the weights of a mixture on a validation text and write its folder.

    The fingerprint of the training sentences is that of all members together. Where all members that have one have
    the same number of jackknife models, the folder gets so many jackknife mixtures, with the same weights.

    Args:
        members: at least two, each with the path it came from.
        valid: text that no member was trained on, one sentence a line.
        folder: made when missing.
        kind: how to mix.
        carry_state: read the text in order, recurrent members with their state carried over.
        copy: copy the members into the folder.
        open_model: opens a member's jackknife models.
        asked: what the mixture was asked for, to keep in ``config.json``.

    Raises:
        InputError: too few members, members that cannot be mixed, an empty text, a folder that is in use.
    """
    if len(members) < 2:
        raise InputError("a mixture needs at least two models", parameter="models")
    _refuse_double_names(members)
    check_unused(folder)
    sentences = list(read_sentences([valid], same_normalizer(members)))
    if not sentences:
        raise InputError("no sentence in the validation text", file=valid)
    found, alone = _weights(members, sentences, kind, carry_state)
    mixture = make_mixture(MixtureRecord(kind, found.weights.tolist(), list(members)))
    seen = {member.name: hashes for member in members if (hashes := trained_sentences(member.path)) is not None}
    overlaps = {name: hashes.overlap(sentences) for name, hashes in seen.items()}
    facts = {"validation_sentences": len(sentences), "log_likelihood": found.log_likelihood[-1]}
    folds = _save_folds(members, mixture, folder, copy, open_model)
    folder.mkdir(parents=True, exist_ok=True)
    _save_hashes(list(seen.values()), folder)
    mixture.save(folder, copy=copy, training={**facts, "stream": carry_state, "asked": asked})
    tokens_per_word = TokenCorpus.from_sentences(sentences, mixture.vocabulary).tokens_per_word
    return MixtureTraining(mixture, found, alone, overlaps, folds, tokens_per_word)


def make_mixture(record: MixtureRecord) -> Mixture:
    """The mixture of some members.

    Raises:
        InputError: an unknown kind, or members or weights that do not go together.
    """
    kinds = {"linear": LinearMixture, "log-linear": LogLinearMixture}
    if record.kind not in kinds:
        raise InputError(f"unknown kind of mixture {record.kind!r}; expected one of {', '.join(kinds)}")
    mixture: Mixture = kinds[record.kind](record.members, record.weights)
    return mixture


def _weights(
    members: Sequence[Member], sentences: Sequence[str], kind: Kind, carry_state: bool
) -> tuple[Interpolation, list[float]]:
    """The weights, and the perplexity of each member alone."""
    if kind == "log-linear":
        if carry_state:
            raise InputError("a log-linear mixture reads sentence by sentence; give it no carried state")
        return interpolate_log_linearly(members, members[0].model.vocabulary.encode_batch(sentences)), []
    log_probs = validation_log_probs(members, sentences, carry_state=carry_state)
    return interpolate(log_probs), np.exp(-log_probs.mean(axis=1)).tolist()


def _refuse_double_names(members: Sequence[Member]) -> None:
    names = [member.name for member in members]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two members are called {double!r}; name them with `models=NAME=PATH`", parameter="models")


def _save_hashes(parts: Sequence[SentenceHashes], folder: Path) -> None:
    """Write the fingerprint of all training sentences together; nothing where none is known."""
    (folder / SENTENCES_FILE).unlink(missing_ok=True)
    if parts:
        together = np.unique(np.concatenate([part.hashes for part in parts]))
        SentenceHashes(together).save(folder / SENTENCES_FILE)


def _save_folds(
    members: Sequence[Member], mixture: Mixture, folder: Path, copy: bool, open_model: Callable[[Path], Ranker]
) -> int:
    """Write a mixture of the members' jackknife models of each fold; the number of folds.

    A member whose training sentences are not known takes part in all of them as it is.
    """
    folds = {member.name: fold_folders(member.path) if member.path else [] for member in members}
    trained = [member for member in members if trained_sentences(member.path) is not None]
    counts = {len(folds[member.name]) for member in trained}
    if len(counts) != 1:
        return 0
    count = counts.pop()
    for index in range(count):
        chosen = [_of_fold(member, folds[member.name], index, open_model) for member in members]
        target = fold_folder(folder, index)
        target.mkdir(parents=True, exist_ok=True)
        _save_hashes([hashes for member in chosen if (hashes := trained_sentences(member.path)) is not None], target)
        make_mixture(MixtureRecord(mixture.kind, mixture.weights.tolist(), chosen)).save(target, copy=copy)
    return count


def _of_fold(member: Member, folds: Sequence[Path], index: int, open_model: Callable[[Path], Ranker]) -> Member:
    return Member(member.name, language_model(open_model(folds[index])), folds[index]) if folds else member
