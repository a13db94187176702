"""``torchrun … -m pipelines.rescore``: several processes score, the first one goes on."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lm.errors import InputError
from asr_lm.lm.training import distributed
from pipelines import lists
from pipelines.display import scoring_progress

if TYPE_CHECKING:
    from asr_lm.rescoring.scoring.models import RescoringModel


def meet(arguments: lists.Common, paths: Sequence[str]) -> None:
    """Connect the processes; without a cache of the user's they get a common one for this run.

    Raises:
        InputError: a list comes from standard input, which only one process can read, or correctors are to write
            hypotheses of their own, which are in no cache.
    """
    if not distributed.is_shared_run():
        return
    if "-" in paths:
        raise InputError("several processes cannot share standard input; give a file", field="--nbest")
    if getattr(arguments, "correct", False):
        raise InputError("is done by one process; start it without torchrun", field="--correct")
    processes = distributed.join()
    if not arguments.cache:
        folder = tempfile.mkdtemp(prefix="asr_lm.scores.") if processes.is_first else None
        arguments.cache, arguments.cache_folder = True, Path(processes.gather(folder)[0])
        if processes.is_first:
            atexit.register(shutil.rmtree, arguments.cache_folder, ignore_errors=True)


def take_part(
    arguments: lists.Common, models: Sequence[RescoringModel], development: Sequence[str], reported: Sequence[str]
) -> bool:
    """Score a share of the lists; whether this process goes on with the command."""
    if not distributed.is_shared_run():
        return True
    from asr_lm.rescoring.scoring.sharing import score_share

    with scoring_progress() as report:
        goes_on = score_share(
            models[0].cache,
            models,
            distributed.join(),
            development=(lambda: lists.development_utterances(arguments, development)) if development else None,
            lists=[lambda path=path: lists.utterances(arguments, path) for path in reported],  # type: ignore[misc]
            context=arguments.context,
            report=report,
        )
    distributed.leave()
    return goes_on
