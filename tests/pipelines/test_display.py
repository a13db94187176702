"""Progress of long work, on a terminal and elsewhere."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import pytest
from rich.console import Console
from toy_language import Command, Toy

from asr_lm.errors import InputError
from asr_lm.lm.training.outcome import TrainingProgress
from pipelines import display

PROGRESS = TrainingProgress(30, 120, 4000, 250.0, 3725.0, 2.0, None, 0.001)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal is sent."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=160, color_system=None)
    monkeypatch.setattr(display, "console", lambda: console)
    return written


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a file is sent, with no time to wait between two lines."""
    written = io.StringIO()
    monkeypatch.setattr(display, "console", lambda: Console(file=written, width=40))
    monkeypatch.setattr(display, "_PLAIN_SECONDS", 0.0)
    return written


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, of which the last one is the time."""
    seconds = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: seconds[-1])
    return seconds


def test_training_shows_what_is_done_how_well_how_fast_and_how_long(file: io.StringIO) -> None:
    with display.training_progress("runs/a [/b]") as show:
        show(PROGRESS)
        show(TrainingProgress(60, 120, 8000, 250.0, 0.4, 2.0, 1.0, 0.001))
        show(TrainingProgress(60, 120, 8000, 0.01, 100 * 3600.0, 2000.0, 1000.0, 0.001))
        show(TrainingProgress(90, 120, 9000, 250.0, 0.4, 2.0, None, 0.001, pseudo=True))
        show(TrainingProgress(90, 120, 9000, 250.0, 0.4, 2.0, 1.0, 0.001, tokens_per_word=1.5))
    assert file.getvalue().splitlines() == [
        "training runs/a [/b]: 30/120 ppl 7.4, 250 tokens/s, 01:02:05 left",
        "training runs/a [/b]: 60/120 ppl 7.4, valid 2.7, 250 tokens/s, 00:00:00 left",
        f"training runs/a [/b]: 60/120 ppl {math.exp(50):,.1f}, valid {math.exp(50):,.1f}, 0 tokens/s, 100:00:00 left",
        "training runs/a [/b]: 90/120 pseudo-ppl 7.4, 250 tokens/s, 00:00:00 left",
        "training runs/a [/b]: 90/120 ppl 20.1 a word (7.4 a token), valid 4.5 a word (2.7 a token), "
        "250 tokens/s, 00:00:00 left",
    ]


def test_bytes_are_shown_in_megabytes_with_what_this_connection_does(file: io.StringIO, clock: list[float]) -> None:
    with display.byte_progress("downloading a.tgz") as report:
        for seconds, done in ((100.0, 4_000_000_000), (102.0, 4_010_000_000), (110.0, 4_100_000_000)):
            clock.append(seconds)
            report(done, 10_000_000_000)
    assert file.getvalue().splitlines() == [
        "downloading a.tgz: 4,000/10,000 MB, 0.0 MB/s",
        "downloading a.tgz: 4,010/10,000 MB, 5.0 MB/s, 00:19:58 left",
        "downloading a.tgz: 4,100/10,000 MB, 10.0 MB/s, 00:09:50 left",
    ]


def test_items_are_shown_with_and_without_a_total(file: io.StringIO) -> None:
    with display.item_progress("reading [dev]", "utterances") as report:
        report(7, 2_703)
        report(100_000, 0)
    assert file.getvalue().splitlines() == ["reading [dev]: 7/2,703 utterances", "reading [dev]: 100,000 utterances"]


def test_scoring_counts_by_model(file: io.StringIO) -> None:
    with display.Terminal().scoring() as progress:
        progress.scored("[/x]", 100)
        progress.scored("other", 50)
        progress.scored("[/x]", 1000)
    patterns = [r"100 hypotheses with \[/x\]", r"50 hypotheses with other", r"1,100 hypotheses with \[/x\]"]
    for line, pattern in zip(file.getvalue().splitlines(), patterns, strict=True):
        assert re.fullmatch(rf"scoring: {pattern}, [\d,]+/s", line)


def test_scoring_shows_the_total_where_it_is_known(file: io.StringIO) -> None:
    terminal = display.Terminal()
    with terminal.scoring() as progress:
        progress.expect(2_000)
        progress.scored("a", 1_100)
    with terminal.scoring() as progress:
        progress.scored("a", 100)
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("scoring: 1,100/2,000 hypotheses with a, ")
    assert lines[1].startswith("scoring: 100 hypotheses with a, ")


def test_thirty_equal_complaints_are_one_with_a_count() -> None:
    told: list[str] = []
    left_out = display.LeftOut(told.append)
    for number in range(30):
        left_out.add(InputError("is empty", file=f"{number}.slf"))
    left_out.add(InputError("no arc", file="x.slf", line=3))
    assert told == ["left out: 0.slf: is empty", "left out: x.slf:3: no arc"]
    left_out.finish()
    (last,) = told[2:]
    assert last.startswith("left out, too: 29 more (1.slf; 2.slf; ")
    assert last.endswith("; 20.slf; and 9 others): is empty")


def test_scoring_shows_the_time_left_where_the_total_is_known(file: io.StringIO, clock: list[float]) -> None:
    with display.Terminal().scoring() as progress:
        progress.expect(1000)
        clock.append(10.0)
        progress.scored("lm", 200)
        clock.append(20.0)
        progress.scored("lm", 200)
    assert file.getvalue().splitlines() == [
        "scoring: 200/1,000 hypotheses with lm, 20/s, 00:00:40 left",
        "scoring: 400/1,000 hypotheses with lm, 20/s, 00:00:30 left",
    ]


def test_what_an_earlier_run_scored_is_no_merit_of_this_one(file: io.StringIO, clock: list[float]) -> None:
    with display.Terminal().scoring() as progress:
        progress.expect(1000)
        for seconds, hypotheses, kept in ((0.1, 400, True), (10.1, 200, False), (10.2, 200, True), (20.2, 200, False)):
            clock.append(seconds)
            progress.scored("lm", hypotheses, kept=kept)
    assert file.getvalue().splitlines() == [
        "scoring: 400/1,000 hypotheses with lm, scored before",
        "scoring: 600/1,000 hypotheses with lm, 20/s, 00:00:20 left",
        "scoring: 800/1,000 hypotheses with lm, 20/s, 00:00:10 left",
        "scoring: 1,000/1,000 hypotheses with lm, 20/s, 00:00:00 left",
    ]


def test_what_joins_the_lists_counts_to_the_total(file: io.StringIO, clock: list[float]) -> None:
    with display.Terminal().scoring() as progress:
        progress.expect(1000)
        for seconds, given, joined in ((10.0, 500, 600), (20.0, 500, 550)):
            clock.append(seconds)
            progress.joined(given, joined)
            progress.scored("lm", joined)
    assert file.getvalue().splitlines() == [
        "scoring: 600/1,200 hypotheses with lm, 60/s, 00:00:10 left",
        "scoring: 1,150/1,150 hypotheses with lm, 58/s, 00:00:00 left",
    ]


def test_no_total_is_shown_where_a_model_scores_the_lists_again(file: io.StringIO, clock: list[float]) -> None:
    with display.Terminal().scoring() as progress:
        progress.expect(1000)
        for seconds in (10.0, 20.0):
            clock.append(seconds)
            progress.scored("lm", 1000)
    assert file.getvalue().splitlines() == [
        "scoring: 1,000/1,000 hypotheses with lm, 100/s, 00:00:00 left",
        "scoring: 2,000 hypotheses with lm, 100/s",
    ]


def test_a_slow_model_is_not_taken_for_as_fast_as_the_one_before(file: io.StringIO, clock: list[float]) -> None:
    with display.Terminal().scoring() as progress:
        progress.expect(1000)
        for seconds, model in ((1, "ngram"), (101, "gpt"), (102, "ngram"), (202, "gpt")):
            clock.append(float(seconds))
            progress.scored(model, 500)
    assert file.getvalue().splitlines() == [
        "scoring: 500/1,000 hypotheses with ngram, 500/s, 00:00:01 left",
        "scoring: 500/1,000 hypotheses with gpt, 5/s, 00:01:41 left",
        "scoring: 1,000/1,000 hypotheses with ngram, 500/s, 00:01:40 left",
        "scoring: 1,000/1,000 hypotheses with gpt, 5/s, 00:00:00 left",
    ]


def test_files_are_not_flooded(file: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_PLAIN_SECONDS", 3600.0)
    with display.Terminal().scoring() as progress:
        for _ in range(100):
            progress.scored("lm", 1)
    assert file.getvalue() == ""


def test_a_terminal_gets_a_bar(terminal: io.StringIO) -> None:
    with display.training_progress("runs/a [/b]") as show:
        show(PROGRESS)
    assert "training runs/a [/b]" in terminal.getvalue()
    assert "30/120" in terminal.getvalue()
    with display.Terminal().scoring() as progress:
        progress.scored("[/x]", 100)
    assert "hypotheses with [/x]" in terminal.getvalue()


def test_names_are_no_markup(command: Command, toy: Toy, ngram: Path) -> None:
    for name in ("[bold].json", "[/bold].json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(toy.test.read_bytes())
        models = ("--lm", f"[red]={ngram}")
        for finished in (
            command("rescore", "--nbest", name, "--dev", toy.dev, *models),
            command("compare", "--test", name, "--dev", toy.dev, *models),
            command("perplexity", "--lm", ngram, "--text", toy.valid),
        ):
            assert finished.code == 0, finished.err
    assert "[red]" in command("compare", "--test", "[bold].json", "--dev", toy.dev, *models).out
    for folder in ("[bold]", "[/bold]"):
        finished = command("train", "ngram", "--text", toy.train, "--out", folder, "--order", 2, "--valid", toy.valid)
        assert finished.code == 0, finished.err
        assert f"{folder}: " in finished.err
        assert Path(folder).name in command("perplexity", "--lm", folder, "--text", toy.valid).out
