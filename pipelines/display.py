"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipelines.command import console

if TYPE_CHECKING:
    from asr_lm.lm.training.loop import Progress

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
def decoding_progress(sources: int) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many sources of speech are done, and how many utterances, and shows it."""
    with _line("decoding") as show:
        yield lambda done, utterances: show(done, sources, f"({utterances:,} utterances)")


@contextlib.contextmanager
def byte_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many bytes of how many are done, and shows megabytes, how fast and time left."""
    begin: list[float] = []
    with _line(title) as show:

        def report(done: int, total: int) -> None:
            # What was there before is no merit of this connection.
            begin[:] = begin or [time.monotonic(), done]
            rate = (done - begin[1]) / max(time.monotonic() - begin[0], 1e-9)
            left = f", {_clock((total - done) / rate)} left" if rate > 0 else ""
            show(done // 10**6, total // 10**6, f"MB, {rate / 1e6:,.1f} MB/s{left}")

        yield report


@contextlib.contextmanager
def item_progress(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many of how many are done (0 if nobody knows), and shows it."""
    with _line(title) as show:
        yield lambda done, total: show(done, total or None, unit)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def _training_text(progress: Progress) -> str:
    valid = "" if progress.valid_loss is None else f", valid {math.exp(min(progress.valid_loss, 50)):,.1f}"
    name = "pseudo-ppl" if progress.pseudo else "ppl"
    return (
        f"{name} {math.exp(min(progress.train_loss, 50)):,.1f}{valid}, "
        f"{progress.tokens_per_second:,.0f} tokens/s, {_clock(progress.seconds_left)} left"
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
