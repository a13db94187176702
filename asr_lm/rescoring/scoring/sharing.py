"""Scoring on several processes: the shards of lists are shared out, and meet in the cache.

Every process asks for the same shards in the same order, and computes those whose turn is its own. A shard is a pure
function of the model and the texts and is written whole or not at all, so it does not matter which process computed
it, nor in which run: what a process that died has left undone is computed by whoever asks next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.training.distributed import Processes, ProcessLost
from asr_lm.progress import Logged, Progress
from asr_lm.rescoring.framing import choose_framings
from asr_lm.rescoring.scoring.context import SpokenBefore
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.scorer import ScoreCache, Turns, shards

ReadList = Callable[[], Iterable[Utterance]]


def score_share(
    cache: ScoreCache,
    models: Sequence[RescoringModel],
    processes: Processes,
    *,
    development: ReadList | None = None,
    lists: Sequence[ReadList] = (),
    context: int = 0,
    progress: Progress | None = None,
) -> bool:
    """Score this process's share of lists into the cache, and wait for the others.

    Args:
        cache: that of the models, in a folder that all processes see.
        models: all models.
        processes: those that share the work.
        development: reads the development list, whose utterances jackknife models score where they have to.
        lists: read the lists that weights are applied to.
        context: utterances of the recording that models read before each one.
        progress: told of finished hypotheses.

    Returns:
        Whether this is the process that goes on: the first one. Where another died, it computes what is missing.

    Raises:
        ProcessLost: another process died, and this is not the first.
    """
    progress = progress or Logged()
    cache.turns = Turns(processes.rank, processes.count)
    if development is not None:
        choose_framings(models, [said for utterance in development() if (said := utterance.reference) is not None])
    try:
        for model in models:
            if development is not None:
                _ask_for_development(model, list(development()), context, progress)
            for read in lists:
                _ask_for(model, read(), context, progress)
        processes.wait()
    except ProcessLost:
        if not processes.is_first:
            raise
    finally:
        cache.turns = None
    return processes.is_first


def _ask_for_development(model: RescoringModel, utterances: list[Utterance], context: int, progress: Progress) -> None:
    before = SpokenBefore(context).contexts(utterances) if context else [()] * len(utterances)
    known = [pair for pair in zip(utterances, before, strict=True) if pair[0].reference is not None]
    if known:
        contexts = [said for _, said in known] if context else None
        model.score_unseen([utterance for utterance, _ in known], partial(progress.scored, model.name), contexts)


def _ask_for(model: RescoringModel, utterances: Iterable[Utterance], context: int, progress: Progress) -> None:
    before = SpokenBefore(context) if context else None
    for shard in shards(utterances):
        contexts = before.contexts(shard) if before else None
        model.scorer.score_list(shard, partial(progress.scored, model.name), contexts)
