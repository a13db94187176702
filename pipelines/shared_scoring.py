"""``torchrun … -m pipelines.rescore``: several processes score, the first one goes on."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.training import distributed
from asr_lm.rescoring.scoring.models import RescoringModel
from asr_lm.rescoring.scoring.sharing import score_share
from pipelines import lists
from pipelines.display import Terminal
from pipelines.options import Common


def meet(options: Common, reported: Sequence[str], development: Sequence[str], alone: str | None = None) -> Path | None:
    """Connect the processes; without a cache of the user's they get a common one for this run, whose folder it gives.

    Args:
        options: whether there is a cache.
        reported: lists that are reported on.
        development: lists that weights are tuned on.
        alone: parameter that asks for what only one process can do; None where nothing does.

    Raises:
        InputError: a list comes from standard input, which only one process can read, or ``alone`` is given.
    """
    if not distributed.is_shared_run():
        return None
    if "-" in (*reported, *development):
        raise InputError("several processes cannot share standard input; give a file", parameter="nbest")
    if alone:
        raise InputError("is done by one process; start it without torchrun", parameter=alone)
    processes = distributed.join()
    if options.cache:
        return None
    folder = tempfile.mkdtemp(prefix="asr_lm.scores.") if processes.is_first else None
    if folder is not None:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(processes.gather(folder)[0])


def take_part(
    options: Common,
    models: Sequence[RescoringModel],
    development: Sequence[str],
    reported: Sequence[str],
    terminal: Terminal,
) -> bool:
    """Score a share of the lists; whether this process goes on with the command."""
    if not distributed.is_shared_run():
        return True
    with terminal.scoring() as progress:
        goes_on = score_share(
            models[0].cache,
            models,
            distributed.join(),
            development=(lambda: lists.development_utterances(options, development, terminal)) if development else None,
            lists=[lambda path=path: lists.utterances(options, path, terminal) for path in reported],  # type: ignore[misc]
            context=options.context,
            progress=progress,
        )
    distributed.leave()
    return goes_on
