"""``train FAMILY --objective mwer``: a trained model, fine-tuned for few word errors on n-best lists.

Of the package's own families all weights learn, of models of Hugging Face an adapter does (``train huggingface``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.device import resolve_device
from asr_lm.lm.folder import fold_folder, trained_sentences
from asr_lm.lm.neural import NeuralModel
from asr_lm.lm.training import distributed
from asr_lm.lm.training.corpus import read_sentences
from asr_lm.lm.training.list_recipe import Learner, ListMaterial, NeuralLearner, fine_tune_on_lists
from asr_lm.lm.training.options import Fold
from asr_lm.lm.training.outcome import TrainingResult
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.framing import choose_framings, settle_framings
from asr_lm.rescoring.scoring.models import RescoringModel, name_and_path, open_model, open_models
from asr_lm.rescoring.scoring.scorer import ScoreCache, default_cache_folder
from asr_lm.rescoring.weighed_lists import (
    combination_of,
    held_out,
    outside_fold,
    scored_lists,
    weighed_lists,
    weights_for,
)
from asr_lm.rescoring.weights import Weights
from asr_lm.text.sentence_hashes import OVERLAP_WARNING, SentenceHashes
from pipelines.adapting import causal_model, check_adapter, lora_learner
from pipelines.command import blaming
from pipelines.display import Terminal, draw_training, say, say_still_learning, training_progress, warn
from pipelines.folds import check_jackknife, check_lists, check_parts, check_training, train_folds
from pipelines.train_record import Asked, asked_for
from pipelines.tuning import told_framings
from pipelines.word_error_options import AdapterWordErrors, NetworkWordErrors, WordErrors


def fine_tune(family: str, options: WordErrors) -> None:
    """Fine-tune the full model, then those of the folds; what is trained already is left as it is.

    Raises:
        InputError: options that cannot work, or a folder in use.
    """
    _check(options)
    train_folds(options.out, asked_for(family, options), options.jackknife, _Job(family, options).train_one)


def _check(options: WordErrors) -> None:
    """Refuse what cannot work before anything is read."""
    if isinstance(options, AdapterWordErrors):
        check_adapter(options)
    valid = {"valid_nbest": options.valid_nbest} if options.valid_nbest else {}
    check_lists(nbest=options.nbest, **valid)
    check_jackknife(options.jackknife)
    check_training(options.training)
    if options.hypotheses < 2:
        raise InputError(f"expected 2 or more, not {options.hypotheses}", parameter="hypotheses")
    if not 0 <= options.likelihood_weight < float("inf"):
        raise InputError(f"expected 0 or more, not {options.likelihood_weight}", parameter="likelihood_weight")
    if options.text and not options.likelihood_weight:
        raise InputError("is for the likelihood, which has no weight", parameter="text")


@dataclass(frozen=True)
class _Lists:
    """Utterances with their features."""

    utterances: list[Utterance]
    table: FeatureTable

    def only(self, kept: NDArray[np.bool_]) -> _Lists:
        return _Lists(
            [utterance for utterance, is_kept in zip(self.utterances, kept.tolist(), strict=True) if is_kept],
            self.table.select_utterances(kept),
        )


@dataclass
class _Job:
    """What all folds have in common, read when the first of them is trained."""

    family: str
    options: WordErrors

    @cached_property
    def device(self) -> str:
        return distributed.local_device(resolve_device(self.options.device))

    @cached_property
    def models(self) -> list[RescoringModel]:
        """The model to begin with, and then the others."""
        cache = ScoreCache(default_cache_folder(), Terminal())
        return open_models([self.options.init_from, *self.options.lm], device=self.device, cache=cache)

    @property
    def initial(self) -> RescoringModel:
        return self.models[0]

    @cached_property
    def lists(self) -> _Lists:
        """The lists to train on."""
        self._check_initial()
        with blaming(*map(str, self.options.nbest)):
            utterances = _read(self.options.nbest)
            self._frame([said for utterance in utterances if (said := utterance.reference) is not None])
        lists = self._scored(utterances, self.options.nbest)
        self._check_honesty(lists)
        return lists

    @cached_property
    def valid(self) -> _Lists | None:
        """The validation lists, where some are given."""
        paths = self.options.valid_nbest
        with blaming(*map(str, paths)):
            return self._scored(_read(paths), paths) if paths else None

    @cached_property
    def given(self) -> Weights | None:
        """The weights of the file, where there is one."""
        return None if self.options.weights is None else Weights.load(self.options.weights)

    def _frame(self, references: list[str]) -> None:
        """Have foreign models read texts as the weights say, else as makes the references likeliest."""
        known = {} if self.given is None else self.given.reading
        settle_framings(self.models, known)
        open_ones = [model for model in self.models if model.name not in known]
        for line in told_framings(choose_framings(open_ones, references)):
            say(line)

    def _scored(self, utterances: list[Utterance], paths: tuple[Path, ...]) -> _Lists:
        with Terminal().scoring() as progress, blaming(*map(str, paths)):
            table = scored_lists(
                utterances,
                self.models,
                unit=self.options.unit,
                wer_normalizer=self.options.wer_normalizer,
                progress=progress,
            )
        return _Lists(utterances, table)

    def _check_initial(self) -> None:
        """Refuse a model of another family, or other jackknife models than are asked for."""
        place = name_and_path(self.options.init_from)[1]
        found = self.initial.model
        if isinstance(self.options, AdapterWordErrors):
            causal_model(found, place)
        elif found.family != self.family:
            raise InputError(f"holds a model of family {found.family!r}, not {self.family!r}", file=place)
        if self.options.jackknife and self.initial.folds and len(self.initial.folds) != self.options.jackknife:
            raise InputError(
                f"the model to begin with has {len(self.initial.folds)} jackknife models, which go with as many parts",
                parameter="jackknife",
            )

    def _check_honesty(self, lists: _Lists) -> None:
        """Warn, or refuse folds, where the model to begin with has seen the references."""
        if self.options.jackknife:
            check_parts((utterance.reference or "" for utterance in lists.utterances), self.options.jackknife)
        share = self.initial.overlap(lists.utterances)
        if share <= OVERLAP_WARNING or self.initial.folds:
            return
        told = f"{100 * share:.1f} % of the references are in the training text of {self.initial.name}"
        if self.options.jackknife:
            raise InputError(f"{told}, which has no jackknife models to begin with", parameter="jackknife")
        warn(f"{told}, so it is surer of them than it will be elsewhere; train it with --jackknife 2 or more")

    def train_one(self, folder: Path, fold: Fold | None, asked: Asked) -> None:
        """Fine-tune the model of a fold, or the full one."""
        options = self.options
        lists = self.lists.only(outside_fold(self.lists.utterances, fold))
        with blaming(*map(str, options.nbest)):
            material = self._material(lists, fold)
        say(f"{folder}: {_described(material)}")
        learner = self._learner(fold)
        with training_progress(str(folder)) as report, blaming(*map(str, options.nbest)):
            result = fine_tune_on_lists(
                learner,
                material,
                options.training,
                folder,
                half=options.half,
                report=report,
                processes=distributed.join(),
                asked=asked,
                facts={"weights": self._weights[fold].values},
            )
        _tell(folder, result)
        say_still_learning(result, options.training.epochs)
        draw_training(folder)

    @cached_property
    def _weights(self) -> dict[Fold | None, Weights]:
        """The weights that each model learnt under."""
        return {}

    def _material(self, lists: _Lists, fold: Fold | None) -> ListMaterial:
        options = self.options
        weights = weights_for(lists.table, self.initial.name, self.given)
        self._weights[fold] = weights
        if self.given is None:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in weights.values.items())
            say(f"weights tuned on the lists to train on: {figures}; error rate there {weights.dev['wer']:.2f}")
        combination = combination_of(weights, self.initial.name, options.likelihood_weight)
        references = [utterance.reference or "" for utterance in lists.utterances]
        train, valid = self._parts(lists)
        learnt = weighed_lists(train.utterances, train.table, weights, self.initial)
        judged = weighed_lists(valid.utterances, valid.table, weights, self.initial)
        references += [some.reference for some in (*learnt, *(judged if self.valid is None else []))]
        return ListMaterial(
            learnt, judged, combination, self._seen(references, fold), most=options.hypotheses, text=options.text
        )

    def _parts(self, lists: _Lists) -> tuple[_Lists, _Lists]:
        """What is trained on, and what decides when to stop.

        Raises:
            InputError: too few utterances to hold some out.
        """
        if self.valid is not None:
            return lists, self.valid
        kept = held_out(lists.utterances)
        if kept.all() or not kept.any():
            raise InputError("too few utterances to hold some out; give a list to validate on", parameter="valid_nbest")
        return lists.only(~kept), lists.only(kept)

    def _seen(self, references: list[str], fold: Fold | None) -> SentenceHashes:
        """Fingerprint of references, text, and what was learnt from before."""
        texts = read_sentences(self.options.text, self.initial.model.normalizer)
        seen = SentenceHashes.from_sentences([*references, *texts])
        before = trained_sentences(self._beginning(fold))
        return seen if before is None else seen | before

    def _beginning(self, fold: Fold | None) -> Path:
        """The folder of the model that a fold begins with."""
        path = self.initial.path
        return path if fold is None or not self.initial.folds else fold_folder(path, fold[0])

    def _learner(self, fold: Fold | None) -> Learner:
        place = self._beginning(fold)
        if isinstance(self.options, AdapterWordErrors):
            return lora_learner(place, self.device, self.initial.reading, self.options)
        model = open_model(place, self.device, self.initial.reading)
        if not isinstance(model, NeuralModel):
            raise InputError(f"a model of family {model.family!r} has no weights to learn", file=self.initial.path)
        assert isinstance(self.options, NetworkWordErrors)
        return NeuralLearner(model, self.options.dropout)


def _read(paths: tuple[Path, ...]) -> list[Utterance]:
    return [utterance for path in paths for utterance in read_nbest(str(path))]


def _described(material: ListMaterial) -> str:
    telling = sum(some.tells for some in material.lists)
    return (
        f"{len(material.lists):,} lists, {telling:,} of them with a choice to learn from, {len(material.valid):,} to "
        f"validate on; scale of the posterior {material.combination.scale:.4g}"
    )


def _tell(folder: Path, result: TrainingResult) -> None:
    why = "stopped early" if result.stopped_early else "done"
    speed = result.tokens / max(result.seconds, 1e-9)
    kept = f"step {result.best_step:,}" if result.best_step else "no step did better than the model before"
    say(
        f"{folder}: {why} after {result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:.0f} s in "
        f"{result.precision} ({speed:,.0f} tokens/s); validation {result.best_loss:.4f} expected errors a list ({kept})"
    )
