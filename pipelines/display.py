"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipelines.command import console

if TYPE_CHECKING:
    from asr_lm.lm.training import Progress

_PLAIN_SECONDS = 30.0


@contextlib.contextmanager
def training_progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """A function that shows the progress of a training: share done, losses, tokens a second, time left."""
    with _line(f"training {name}") as show:
        yield lambda progress: show(progress.step, progress.steps, _training_text(progress))


@contextlib.contextmanager
def scoring_progress() -> Iterator[Callable[[str, int], None]]:
    """A function that is told of scored hypotheses by model name, and shows how many are done and how fast."""
    begin = time.monotonic()
    done: dict[str, int] = {}
    with _line("scoring") as show:

        def report(name: str, count: int) -> None:
            done[name] = done.get(name, 0) + count
            rate = sum(done.values()) / max(time.monotonic() - begin, 1e-9)
            show(done[name], None, f"hypotheses with {name}, {rate:,.0f}/s")

        yield report


@contextlib.contextmanager
def decoding_progress(sources: int) -> Iterator[Callable[[int], None]]:
    """A function that is told how many sources of speech are done, and shows it."""
    with _line("decoding") as show:
        yield lambda done: show(done, sources, "")


def _training_text(progress: Progress) -> str:
    valid = "" if progress.valid_loss is None else f", valid {math.exp(min(progress.valid_loss, 50)):,.1f}"
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    left = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    name = "pseudo-ppl" if progress.pseudo else "ppl"
    return (
        f"{name} {math.exp(min(progress.train_loss, 50)):,.1f}{valid}, "
        f"{progress.tokens_per_second:,.0f} tokens/s, {left} left"
    )


@contextlib.contextmanager
def _line(title: str) -> Iterator[Callable[[int, int | None, str], None]]:
    output = console()
    if not output.is_terminal:
        shown = time.monotonic()

        def plain(done: int, total: int | None, text: str) -> None:
            nonlocal shown
            if time.monotonic() - shown >= _PLAIN_SECONDS:
                shown = time.monotonic()
                of = "" if total is None else f"/{total:,}"
                output.print(f"{title}: {done:,}{of} {text}", markup=False, soft_wrap=True)

        yield plain
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    description, text = (TextColumn(field, markup=False) for field in ("{task.description}", "{task.fields[text]}"))
    columns = (description, BarColumn(), MofNCompleteColumn(), text)
    with Progress(*columns, console=output, transient=True) as bar:
        task = bar.add_task(title, total=None, text="")
        yield lambda done, total, text: bar.update(task, completed=done, total=total, text=text)
