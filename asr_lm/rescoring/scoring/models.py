"""The language models of a rescoring, each a column of the feature table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError
from asr_lm.evaluation.roles import ROLES
from asr_lm.evaluation.word_errors import Unit
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.folder import SENTENCES_FILE, fold_folders, trained_sentences
from asr_lm.lm.loading import load_model
from asr_lm.lm.precision import PrecisionChoice
from asr_lm.lm.protocol import Ranker, language_model
from asr_lm.progress import Logged, Progress
from asr_lm.rescoring.default_model import FIRST_PASS_TOTAL
from asr_lm.rescoring.features.table import CHARACTERS, CORRECTED_TEXT, RANK, WORDS, Column, FeatureTable, score_names
from asr_lm.rescoring.scoring.conditional import scorer_for
from asr_lm.rescoring.scoring.context import Context
from asr_lm.rescoring.scoring.jackknife import unseen_by
from asr_lm.rescoring.scoring.lengths import length_normalizer
from asr_lm.rescoring.scoring.scorer import ScoreCache, Scorer, Scores, TellScored
from asr_lm.rescoring.scoring.specification import ReadingOptions, name_and_path, reading_options
from asr_lm.rescoring.scoring.vocabulary_fit import VocabularyFit
from asr_lm.text.lost_letters import LostLetters
from asr_lm.text.normalizer import get_normalizer
from asr_lm.text.sentence_hashes import SentenceHashes

COLUMNS = (RANK, WORDS, CHARACTERS)
"""Columns that every table has."""

Recombine: TypeAlias = int | Literal["auto"]
"""How many last words tell histories apart: all (0), so many, or what a development list says."""

TAKEN = (*COLUMNS, FIRST_PASS_TOTAL, *ROLES)
"""Names that mean something else in a feature table or in a result."""


@dataclass
class RescoringModel:
    """A language model under the name of its column.

    Attributes:
        name: of the column.
        path: where the model came from.
        scorer: scores with it.
        seen: fingerprint of its training sentences, where the folder has one.
        folds: jackknife models, each with the fingerprint of what it was trained on.
        unnormalised: whether it scores without the sum over the vocabulary.
    """

    name: str
    path: Path
    scorer: Scorer
    seen: SentenceHashes | None = None
    folds: list[tuple[Path, SentenceHashes]] = field(default_factory=list)
    unnormalised: bool = False
    _device: str = "cpu"
    _cache: ScoreCache | None = None
    _budget: int | None = None
    _options: ReadingOptions = field(default_factory=ReadingOptions)
    _precision: PrecisionChoice = "float32"
    _recombined: int = 0
    _is_to_choose: bool = False
    _reading: ReadingOptions | None = None

    @property
    def cache(self) -> ScoreCache:
        """Where the scores are kept."""
        return self.scorer.cache

    @property
    def model(self) -> Ranker:
        """The language model."""
        return self.scorer.model

    @classmethod
    def of(cls, model: Ranker, name: str | None = None) -> RescoringModel:
        """A language model in memory, under its family's name unless another is given."""
        return cls(name or model.family, Path(name or model.family), scorer_for(model, None, None))

    def log_prob(self, texts: Sequence[str], contexts: Sequence[Context] | None = None) -> NDArray[np.float64]:
        """Natural-log probability of each text, the end of the sentence included ``[texts]``.

        The model normalises the texts and cuts them into tokens by itself.

        Args:
            texts: as people write them.
            contexts: what was said before each text, the oldest first ``[texts]``; for models that read that.

        Raises:
            InputError: one text instead of a list of them, or a model that ranks and knows no probabilities.
        """
        return language_model(self.model).log_prob(texts, contexts)

    @classmethod
    def open(
        cls,
        specification: str,
        *,
        device: str = "cpu",
        cache: ScoreCache | None = None,
        budget: int | None = None,
        unnormalised: Collection[str] = (),
        options: ReadingOptions | None = None,
        precision: PrecisionChoice = "float32",
    ) -> RescoringModel:
        """Open ``PATH`` or ``NAME=PATH``; ``default`` is the packaged model.

        ``?normalizer=NAME&begin=TOKEN&end=TOKEN&casing=sentence`` at the end, or ``options``, says what texts go
        through before the model reads them (by default what its folder says, and nothing for a file or model that does
        not say it) and how they begin, end and are written (by default what a development list says). One whose name is
        among ``unnormalised`` scores without the sum over the vocabulary. Products are computed in ``precision``
        (:meth:`~asr_lm.lm.protocol.Ranker.compute_in`).

        Raises:
            InputError: no model there, or a damaged one; no such normaliser, token or casing.
        """
        name, path = name_and_path(specification)
        options = (options or ReadingOptions()).over(reading_options(specification))
        seen = trained_sentences(path)
        folds = []
        for folder in fold_folders(path) if path.is_dir() else []:
            if (hashes := trained_sentences(folder)) is None:
                raise InputError(f"the jackknife model has no {SENTENCES_FILE}", file=folder)
            folds.append((folder, hashes))
        if folds and seen is None:
            raise InputError(f"the model has jackknife models, but no {SENTENCES_FILE}", file=path)
        skip = name in unnormalised
        model = open_model(path, device, options, unnormalised=skip, precision=precision)
        scorer = scorer_for(model, cache, budget)
        return cls(name, path, scorer, seen, folds, skip, device, cache, budget, options, precision)

    def score_unseen(
        self,
        utterances: Sequence[Utterance],
        report: TellScored,
        contexts: Sequence[Context] | None = None,
    ) -> Scores:
        """Scores in which no utterance is scored by a model that was trained on its reference, as far as known.

        Where references are in the training text and there are jackknife models, those score these utterances; the
        full model scores the rest.
        """
        chosen = np.zeros(len(utterances), dtype=np.int64)
        parts: dict[int, Scores] = {}
        for number, (scorer, members) in enumerate(self.unseen_parts(utterances)):
            chosen[members] = number
            said = None if contexts is None else [contexts[member] for member in members]
            parts[number] = scorer.score_list([utterances[member] for member in members], report, said)
        return _interleaved(utterances, chosen.tolist(), parts)

    def unseen_parts(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Scorer, list[int]]]:
        """Which utterances, by number, go to which scorer so that none goes to a model trained on its reference."""
        if self.seen is None or not self.folds or not self.overlap(utterances):
            yield self.scorer, list(range(len(utterances)))
            return
        chosen = unseen_by(utterances, [self.seen, *(hashes for _, hashes in self.folds)])
        for number in np.unique(chosen).tolist():
            scorer = self.scorer if number == 0 else self._fold_scorer(number - 1)
            yield scorer, np.flatnonzero(chosen == number).tolist()

    @property
    def is_to_frame(self) -> bool:
        """Whether a development list is to choose how texts begin, end or are written."""
        given = self._options
        return bool(self.model.text_ends) and None in (given.begin, given.end, given.casing)

    @property
    def given_options(self) -> ReadingOptions:
        """What was said when the model was opened."""
        return self._options

    def read_as(self, options: ReadingOptions) -> None:
        """Read texts so from now on; what was said when the model was opened holds all the same."""
        self._reading = self._options.over(options)
        self._reading.apply(self.model)
        self.scorer.model_changed()

    @property
    def reading(self) -> ReadingOptions:
        """How texts are read now, as far as it was said or chosen."""
        return self._options if self._reading is None else self._reading

    def recombine(self, words: Recombine) -> None:
        """Take histories of the same last words for one (:meth:`~asr_lm.lm.protocol.Ranker.recombine`).

        Args:
            words: how many; 0 tells all histories apart; ``auto`` lets a development list choose
                (:mod:`asr_lm.rescoring.recombination`).
        """
        self._is_to_choose = words == "auto"
        self._tell_apart(0 if words == "auto" else words)

    @property
    def chooses_recombination(self) -> bool:
        """Whether a development list is to choose how many words tell histories apart."""
        return self._is_to_choose and self.model.recombines

    @property
    def recombined(self) -> int:
        """Last words that tell histories apart now; 0 is all of them."""
        return self._recombined

    def choose_recombination(self, words: int) -> None:
        """What was found for ``auto``; another development list may find something else."""
        self._tell_apart(words)

    def _tell_apart(self, words: int) -> None:
        self.model.recombine(words)
        if words != self._recombined:
            self.scorer.model_changed()
        self._recombined = words

    def _fold_scorer(self, index: int) -> Scorer:
        folder, skip = self.folds[index][0], self.unnormalised
        model = open_model(folder, self._device, self._options, unnormalised=skip, precision=self._precision)
        model.recombine(self._recombined)
        return scorer_for(model, self._cache, self._budget)

    def overlap(self, utterances: Sequence[Utterance]) -> float:
        """Share of the references that are in the training text, from 0 to 1."""
        references = [utterance.reference for utterance in utterances if utterance.reference is not None]
        return self.seen.overlap(references) if self.seen is not None else 0.0


def open_model(
    path: Path,
    device: str = "cpu",
    options: ReadingOptions | None = None,
    *,
    unnormalised: bool = False,
    precision: PrecisionChoice = "float32",
) -> Ranker:
    """A model that reads texts as the options say, where they say it.

    Raises:
        InputError: as :func:`asr_lm.lm.loading.load_model`; no such normaliser, token or casing;
            ``unnormalised``, and the model was not
            trained to score without the sum over the vocabulary.
    """
    options = options or ReadingOptions()
    try:
        if options.normalizer is not None:
            get_normalizer(options.normalizer)
        model = load_model(path, device, precision)
        options.apply(model)
    except InputError as error:
        raise error if error.file else error.located(file=path, parameter="models") from error
    if unnormalised:
        model.skip_normaliser()
    return model


def _interleaved(utterances: Sequence[Utterance], chosen: Sequence[int], parts: dict[int, Scores]) -> Scores:
    """Scores of all utterances in order, each taken from the next rows of its part."""
    positions = dict.fromkeys(parts, 0)
    pieces = []
    for utterance, number in zip(utterances, chosen, strict=True):
        begin = positions[number]
        positions[number] = end = begin + len(utterance.hypotheses)
        part = parts[number]
        pieces.append(Scores(part.log_prob[begin:end], part.tokens[begin:end], part.unknown[begin:end]))
    return Scores.concatenate(pieces)


def open_models(
    specifications: Sequence[str],
    *,
    device: str = "cpu",
    cache: ScoreCache | None = None,
    budget: int | None = None,
    unnormalised: Collection[str] = (),
    precision: PrecisionChoice | Sequence[PrecisionChoice] = "float32",
    recombine: Recombine = 0,
) -> list[RescoringModel]:
    """Open several models; their names must differ.

    Args:
        specifications, device, cache, budget, precision: see :meth:`RescoringModel.open`; the precision of all models,
            or one for each.
        unnormalised: names of models that score without the sum over the vocabulary.
        recombine: see :meth:`RescoringModel.recombine`.

    Raises:
        InputError: as :meth:`RescoringModel.open`; two models of one name; a name that means something else; one to
            be unnormalised that is not there, or was not trained for it.
    """
    if budget is not None and budget < 1:
        raise InputError(f"expected a number of nodes above 0, not {budget}", parameter="budget")
    if unknown := sorted({*unnormalised} - {name_and_path(specification)[0] for specification in specifications}):
        raise InputError(f"no model is called {unknown[0]!r}", parameter="unnormalised")
    precisions = [precision] * len(specifications) if isinstance(precision, str) else precision
    models = [
        RescoringModel.open(spec, device=device, cache=cache, budget=budget, unnormalised=unnormalised, precision=one)
        for spec, one in zip(specifications, precisions, strict=True)
    ]
    for opened in models:
        opened.recombine(recombine)
    names = [model.name for model in models]
    for name, specification in zip(names, specifications, strict=True):
        if names.count(name) > 1:
            raise InputError(f"two models are called {name!r}; name them with `models=NAME=PATH`")
        if name in TAKEN:
            raise InputError(
                f"no model can be called {name!r}; name it with `models=NAME=PATH`",
                parameter="models",
                file=specification,
            )
    return models


def as_models(
    models: str | Path | Ranker | RescoringModel | Sequence[str | Path | Ranker | RescoringModel],
) -> list[RescoringModel]:
    """Models in whatever form as columns of a table; their names must differ.

    Raises:
        InputError: as :meth:`RescoringModel.open`, or two of one name.
    """
    several = [models] if isinstance(models, str | Path | Ranker | RescoringModel) else list(models)
    opened = [_as_model(model) for model in several]
    names = [model.name for model in opened]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two models are called {double[0]!r}; give load() another name for one", parameter="models")
    return opened


def _as_model(model: str | Path | Ranker | RescoringModel) -> RescoringModel:
    if isinstance(model, RescoringModel):
        return model
    return RescoringModel.of(model) if isinstance(model, Ranker) else RescoringModel.open(str(model))


def feature_table(
    utterances: Sequence[Utterance],
    models: Sequence[RescoringModel],
    *,
    development: bool = False,
    unit: Unit = "word",
    wer_normalizer: str = "as-is",
    progress: Progress | None = None,
    fit: VocabularyFit | None = None,
    contexts: Sequence[Context] | None = None,
    corrected: bool = False,
) -> FeatureTable:
    """Score utterances with every model and put all features side by side.

    Args:
        utterances: a list, or a shard of one.
        models: their columns follow the first pass's.
        development: take jackknife scores where a model has seen references (see :meth:`RescoringModel.score_unseen`).
        unit: what an error is counted in.
        wer_normalizer: name of the normaliser applied before errors are counted.
        progress: told of scored hypotheses, and of vocabularies that fit badly.
        fit: what is known of the vocabularies from earlier shards of the list; None for the first, or only, one.
        contexts: what was said before each utterance ``[utterances]``, for the models that read it.
        corrected: correctors were at work: a column tells their hypotheses from the recogniser's.

    Raises:
        InputError: a closed vocabulary does not fit, a first-pass score is named like a model or another column, or the
            normaliser for the errors loses most of the references.
    """
    check_score_names(utterances, models)
    progress = progress or Logged()
    fit = fit or VocabularyFit(progress.warn)
    texts = [hypothesis.text for utterance in utterances for hypothesis in utterance.hypotheses]
    columns, unknown = {}, {}
    for model in models:
        score = model.score_unseen if development else model.scorer.score_list
        scores = score(utterances, partial(progress.scored, model.name), contexts)
        fit.add(model.name, model.model, texts, int(scores.unknown.sum()))
        columns[model.name] = scores.log_prob
        if not model.model.vocabulary.is_open:
            unknown[model.name] = scores.unknown
    _check_letters(utterances, wer_normalizer)
    table = FeatureTable.from_utterances(
        utterances,
        columns,
        unknown,
        unit=unit,
        wer_normalizer=get_normalizer(wer_normalizer),
        length_normalizer=length_normalizer([model.model for model in models]),
    )
    if not corrected:
        return table
    flags = [hypothesis.corrected for utterance in utterances for hypothesis in utterance.hypotheses]
    return table.with_columns([(Column(CORRECTED_TEXT, "corrected"), np.array(flags))])


def _check_letters(utterances: Sequence[Utterance], wer_normalizer: str) -> None:
    """Refuse a normaliser for the counting of errors that loses most of the references."""
    lost = LostLetters(wer_normalizer)
    for utterance in utterances:
        lost.add(utterance.reference or "")
    lost.check("wer_normalizer")


def check_score_names(utterances: Sequence[Utterance], models: Sequence[RescoringModel]) -> None:
    """Refuse first-pass scores that are called like a model or another column.

    Raises:
        InputError: there is one.
    """
    names = score_names(utterances)
    for model in models:
        if model.name in names:
            raise InputError(
                f"a first-pass score is called {model.name!r} too; name the model otherwise, with `models=NAME=PATH`"
            )
    if taken := [name for name in names if name in COLUMNS]:
        raise InputError(
            f"a first-pass score is called {taken[0]!r}, as is a feature of every list; rename it there",
            utterance=utterances[0].id,
            field=f"hypotheses[0].scores.{taken[0]}",
        )
