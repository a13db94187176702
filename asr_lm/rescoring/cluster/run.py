"""The second pass over a list in parts: looked through, cut, rescored by whoever is there, and added up in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from asr_lm.hypotheses.utterance import Utterance
from asr_lm.progress import Progress
from asr_lm.rescoring.cluster.cutting import Part, parts_of
from asr_lm.rescoring.cluster.engine import Engine, in_order
from asr_lm.rescoring.cluster.job import Job
from asr_lm.rescoring.cluster.list_files import ListFiles, RowReader
from asr_lm.rescoring.cluster.rescoring import BadLine, Figures, RescoreParts
from asr_lm.rescoring.cluster.scanning import Law, Scan
from asr_lm.rescoring.default_model import ScoreKind
from asr_lm.rescoring.evaluation import Evaluation
from asr_lm.rescoring.framing import settle_framings
from asr_lm.rescoring.recombination import settle_recombination
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.vocabulary_fit import VocabularyFit
from asr_lm.rescoring.second_pass import recognised_kind, strange_models, warn_of_foreign
from asr_lm.rescoring.settings import Scoring
from asr_lm.rescoring.tuned import DevelopmentCheck, Tuned
from asr_lm.text.sentence_hashes import OVERLAP_WARNING


def cut_list(source: ListFiles, law: Law, engine: Engine) -> list[Part]:
    """Look through a list and cut it.

    Raises:
        InputError: a file cannot be read.
    """
    return list(parts_of(in_order(engine.work(Scan(source, law), list(source.stretches())))))


def first_shard(source: ListFiles, law: Law, parts: Sequence[Part]) -> list[Utterance]:
    """The utterances of the first part, by which one process tells what the scores of a list are."""
    part = parts[0]
    return list(part.good(part.rows(RowReader(source)), source, law))


def settled(
    models: Sequence[RescoringModel],
    tuned: Tuned | None,
    shard: Sequence[Utterance],
    kind: ScoreKind | None,
    scoring: Scoring,
    progress: Progress,
) -> Tuned:
    """The weights, and models that are set as these want them; see :func:`asr_lm.rescoring.second_pass.rescore`."""
    if tuned is not None:
        settle_framings(models, tuned.weights.reading)
    settle_recombination(models, tuned.weights if tuned else None)
    if tuned is not None:
        return tuned
    kind = recognised_kind(shard, progress) if kind is None else kind
    warn_of_foreign(models, progress)
    return Tuned.default(shard, models, kind, strange_models(shard, models, scoring, progress))


@dataclass
class Added:
    """What the parts add up to.

    Attributes:
        evaluation: of the list.
        bad: rows that were left out.
        found: parts that were there from an earlier run.
    """

    evaluation: Evaluation
    bad: list[BadLine] = field(default_factory=list)
    found: int = 0


def rescore_parts(
    job: Job, parts: Sequence[Part], models: Sequence[RescoringModel], engine: Engine, progress: Progress
) -> Added:
    """Rescore the parts of a list that are not there yet, and add up all of them.

    Args:
        job: what there is to do.
        parts: of the list.
        models: as they were set for the job.
        engine: does the work.
        progress: is told of hypotheses when their part is done.

    Raises:
        InputError: as :func:`asr_lm.rescoring.second_pass.rescore`.
    """
    added, check, fit = Added(Evaluation()), DevelopmentCheck(), VocabularyFit(progress.warn)
    tuned = job.tuned if job.scoring.phrases is None else job.tuned.with_fixed_phrases()
    added.evaluation.tuned, added.evaluation.models = tuned, tuple(models)
    added.evaluation.measuring = job.measuring
    for figures in in_order(_reported(engine.work(RescoreParts(job), parts), models, progress)):
        for warning in figures.warnings:
            progress.warn(warning)
        for name, misfit in figures.misfits.items():
            fit.merge(name, misfit)
        if figures.evaluation is not None:
            added.evaluation.merge(figures.evaluation)
        check.merge(figures.check)
        added.bad += figures.bad
        added.found += figures.found
    if share := check.refuse(tuned, OVERLAP_WARNING):
        progress.warn(f"{100 * share:.1f} % of the utterances are in the development list, too, with id and reference")
    return added


def _reported(
    results: Iterable[tuple[int, Figures]], models: Sequence[RescoringModel], progress: Progress
) -> Iterator[tuple[int, Figures]]:
    for number, figures in results:
        for model in models:
            progress.scored(model.name, figures.hypotheses, kept=figures.found)
        yield number, figures
