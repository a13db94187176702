"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from asr_lm.counted import counted
from pipelines.command import console, with_options
from pipelines.scoring_speed import ScoringSpeed, clock

if TYPE_CHECKING:
    from pathlib import Path

    from asr_lm.errors import InputError
    from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult

_PLAIN_SECONDS = 30.0


@contextlib.contextmanager
def training_progress(name: str) -> Iterator[Callable[[TrainingProgress], None]]:
    """A function that shows the progress of a training: share done, losses, tokens a second, time left."""
    with _line(f"training {name}") as show:
        yield lambda progress: show(progress.step, progress.steps, _training_text(progress))


def say(message: str) -> None:
    """Tell how the work goes, beside the results."""
    console().print(with_options(message), markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Print a warning."""
    console().print(f"warning: {with_options(message)}", style="yellow", markup=False, soft_wrap=True)


def perplexities(a_word: float, a_token: float, *, pseudo: bool = False) -> str:
    """Both figures, that of a word first: it compares with models of other vocabularies."""
    return f"{'pseudo-' if pseudo else ''}perplexity a word {a_word:,.2f}, a token {a_token:,.2f}"


def say_trained(folder: Path, result: TrainingResult, epochs: float, *, pseudo: bool = False) -> None:
    """Tell what came of a training whose loss is one of tokens."""
    from asr_lm.lm.training.loop import perplexity

    why = "stopped early" if result.stopped_early else "done"
    a_word, a_token = perplexity(result.best_loss * (result.tokens_per_word or 1)), perplexity(result.best_loss)
    say(
        f"{folder}: {why} after {counted(result.steps, 'step')}, {counted(result.tokens, 'token')}, "
        f"{result.seconds:.0f} s in {result.precision}; validation {perplexities(a_word, a_token, pseudo=pseudo)} "
        f"(step {result.best_step:,})"
    )
    say_still_learning(result, epochs)


def say_still_learning(result: TrainingResult, epochs: float) -> None:
    """Tell that a training might have gone on, where it might."""
    if result.still_learning:
        over = f"the last validation is the best when {epochs:g} {'epoch is' if epochs == 1 else 'epochs are'} over"
        say(f"  it was still learning ({over}): more of them may do better, for example --epochs {2 * epochs:g}")


def draw_training(folder: Path) -> None:
    """Draw the curve of a training beside it; a picture that cannot be written undoes no training."""
    from asr_lm.errors import InputError
    from asr_lm.lm.training.distributed import join
    from asr_lm.report.training_curves import write_training_picture

    if not join().is_first:
        return
    try:
        write_training_picture(folder)
    except InputError as error:
        warn(str(error))


_MOST_NAMES = 20


class LeftOut:
    """Names what could not be used: one of each complaint as it comes, the others of the same at the end, counted.

    Args:
        tell: prints a warning.
    """

    def __init__(self, tell: Callable[[str], None] = warn) -> None:
        self._tell = tell
        self._others: dict[str, list[str]] = {}

    def add(self, error: InputError) -> None:
        """One more."""
        if error.message in self._others:
            self._others[error.message].append(", ".join(error.place))
        else:
            self._others[error.message] = []
            self._tell(f"left out: {error}")

    def finish(self) -> None:
        """Name those that were not named."""
        for message, places in self._others.items():
            if places:
                shown = "; ".join(places[:_MOST_NAMES])
                unnamed = f"; and {counted(len(places) - _MOST_NAMES, 'other')}" if len(places) > _MOST_NAMES else ""
                self._tell(f"left out, too: {len(places):,} more ({shown}{unnamed}): {message}")


class Terminal:
    """Whom the library tells how it goes: :class:`asr_lm.progress.Progress` on a terminal.

    A warning is printed once, however often it comes.
    """

    def __init__(self) -> None:
        self._warned: dict[str, None] = {}
        self._told: set[str] = set()
        self._show: Callable[[int, int | None, str], None] | None = None
        self._speed = ScoringSpeed()

    def warn(self, message: str) -> None:
        """Print a warning unless it was printed."""
        message = with_options(message)
        if message not in self._warned:
            self._warned[message] = None
            warn(message)

    def notice(self, message: str) -> None:
        """Print what a reader may want to know, once."""
        if message not in self._told:
            self._told.add(message)
            say(message)

    @property
    def warnings(self) -> list[str]:
        """What was warned of, in alphabetical order."""
        return sorted(self._warned)

    @contextlib.contextmanager
    def scoring(self) -> Iterator[Terminal]:
        """Show how many hypotheses are scored, and how fast, while this lasts."""
        self._speed = ScoringSpeed()
        with _line("scoring") as self._show:
            yield self
        self._show = None

    def expect(self, hypotheses: int) -> None:
        """Every model will score so many in all, and those that join them."""
        self._speed.listed = hypotheses

    def joined(self, given: int, hypotheses: int) -> None:
        """See :class:`asr_lm.progress.Progress`."""
        self._speed.given += given
        self._speed.with_joined += hypotheses

    def scored(self, model: str, hypotheses: int, *, kept: bool = False) -> None:
        """See :class:`asr_lm.progress.Progress`; it took the time since anything was told."""
        self._speed.add(model, hypotheses, kept)
        if self._show:
            self._show(self._speed.done[model], self._speed.expected(model), self._speed.text(model))


@contextlib.contextmanager
def decoding_progress(sources: int) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many sources of speech are done, and how many utterances, and shows it."""
    with _line("decoding") as show:
        yield lambda done, utterances: show(done, sources, f"({counted(utterances, 'utterance')})")


@contextlib.contextmanager
def byte_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many bytes of how many are done, and shows megabytes, how fast and time left."""
    begin: list[float] = []
    with _line(title) as show:

        def report(done: int, total: int) -> None:
            # What was there before is no merit of this connection.
            begin[:] = begin or [time.monotonic(), done]
            rate = (done - begin[1]) / max(time.monotonic() - begin[0], 1e-9)
            left = f", {clock((total - done) / rate)} left" if rate > 0 else ""
            show(done // 10**6, total // 10**6, f"MB, {rate / 1e6:,.1f} MB/s{left}")

        yield report


@contextlib.contextmanager
def item_progress(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many of how many are done (0 if nobody knows), and shows it."""
    with _line(title) as show:
        yield lambda done, total: show(done, total or None, unit)


def _training_text(progress: TrainingProgress) -> str:
    figures = partial(_short_figures, progress)
    valid = "" if progress.valid_loss is None else f", valid {figures(progress.valid_loss)}"
    name = "expected errors a list" if progress.counts_errors else "pseudo-ppl" if progress.pseudo else "ppl"
    half = " in bfloat16" if progress.precision == "bfloat16" else ""
    return (
        f"{name} {figures(progress.train_loss)}{valid}, "
        f"{progress.tokens_per_second:,.0f} tokens/s{half}, {clock(progress.seconds_left)} left"
    )


def _short_figures(progress: TrainingProgress, loss: float) -> str:
    return f"{loss:.3f}" if progress.counts_errors else _short_perplexities(loss, progress.tokens_per_word)


def _short_perplexities(loss: float, tokens_per_word: float | None) -> str:
    """Of a word and, where it is another one, of a token."""
    from asr_lm.lm.training.loop import perplexity

    a_token = f"{perplexity(loss):,.1f}"
    if tokens_per_word is None or tokens_per_word == 1:
        return a_token
    return f"{perplexity(loss * tokens_per_word):,.1f} a word ({a_token} a token)"


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
