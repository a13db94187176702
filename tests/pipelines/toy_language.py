"""Commands run within the test's process, in an empty folder, on lists and models of a toy language."""

from __future__ import annotations

import importlib
import io
import json
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.writing import write_nbest
from pipelines.command import run

SUBJECTS = ("the cat", "a dog", "my aunt", "the old sailor", "his sister", "our neighbour", "the queen", "a farmer")
VERBS = ("sees", "likes", "feeds", "wants", "paints", "sells", "finds", "hides")
OBJECTS = ("the boat", "a red apple", "two horses", "the garden", "a letter", "the moon", "some bread", "her hat")
TIMES = ("", "today", "in the morning", "every day", "with great care", "at night")
WORDS = sorted({word for parts in (SUBJECTS, VERBS, OBJECTS, TIMES) for part in parts for word in part.split()})


@dataclass(frozen=True)
class Finished:
    """A command that came to its end.

    Attributes:
        code: exit code.
        out: standard output; raw: its bytes.
        err: standard error.
        written: files in the folder that were not there before, the cache's left out.
    """

    code: int
    raw: bytes
    err: str
    written: frozenset[str]

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def complaint(self) -> str:
        """The one line of a refusal."""
        *notes, last = self.err.splitlines() or [""]
        assert self.code == 2, self
        assert last.startswith("error: "), self
        assert len(last) > len("error: ")
        assert all(note.startswith(("warning: ", "no --lm given")) for note in notes), self
        assert "Traceback" not in self.err
        assert not self.written, self.written
        return last


Command = Callable[..., Finished]


def call(name: str, *arguments: object, stdin: bytes = b"") -> Finished:
    """Run ``python -m pipelines.NAME ARGUMENTS`` in this process and the current folder."""
    module = importlib.import_module(f"pipelines.{name}")
    return finish(lambda: run(module.main), [f"pipelines/{name}.py", *arguments], stdin)


def finish(program: Callable[[], None], line: Sequence[object], stdin: bytes = b"") -> Finished:
    """Run what a command line starts in this process and the current folder."""
    streams = [io.TextIOWrapper(io.BytesIO(data), "utf-8", write_through=True) for data in (stdin, b"", b"")]
    before = _files()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*map(str, line)])
        for stream, wrapper in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, stream, wrapper)
        try:
            program()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
    out, err = (wrapper.buffer.getvalue() for wrapper in streams[1:])  # type: ignore[attr-defined]
    return Finished(code, out, err.decode(), frozenset(_files() - before))


def started(name: str, *arguments: object) -> BaseProcess:
    """The same in a process of its own, to be interrupted or killed; it leaves what it had to say in ``err.txt``."""

    def child() -> None:
        try:
            finished = call(name, *arguments)
        except Exception:  # a traceback, which a user would see
            Path("err.txt").write_text(traceback.format_exc())
            os._exit(1)
        Path("err.txt").write_text(finished.err)
        os._exit(finished.code)

    # A fork has everything imported already.
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def kill_at_first_checkpoint(line: Sequence[object]) -> None:
    """Kill a training into the folder ``m`` as soon as there is something to go on with."""
    name, *arguments = line
    process = started(str(name), *arguments)
    deadline = time.monotonic() + 120
    while not Path("m/checkpoint.safetensors").exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def changed(line: Sequence[object], *options: object) -> list[object]:
    """A command line with some options of one value in place of what is there, or at the end."""
    words = [*line]
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    return words


def config(folder: str | Path) -> dict[str, Any]:
    """What a trained folder says of itself."""
    record: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text())
    return record


def _files() -> set[str]:
    paths = (path.relative_to(Path.cwd()) for path in Path.cwd().rglob("*"))
    return {str(path) for path in paths if path.parts[0] != "cache"}


@dataclass(frozen=True)
class Toy:
    """Texts and lists of the toy language, none of whose references are in the training text."""

    folder: Path
    sentences: Sequence[str]
    train: Path
    valid: Path
    dev: Path
    test: Path

    def utterances(self, name: str) -> list[Utterance]:
        """The utterances of a list."""
        return list(read_nbest(self.folder / f"{name}.json"))


def sentence(generator: random.Random) -> str:
    """Some sentence of the toy language."""
    parts = (generator.choice(some) for some in (SUBJECTS, VERBS, OBJECTS, TIMES))
    return " ".join(part for part in parts if part)


def utterance(name: str, number: int, reference: str, generator: random.Random) -> Utterance:
    """What a recogniser might have made of a sentence: its scores know nothing of the words."""
    texts = [reference]
    while len(texts) < 3 + number % 3:
        words = generator.choice(texts).split()
        words[generator.randrange(len(words))] = generator.choice(WORDS)
        if " ".join(words) not in texts:
            texts.append(" ".join(words))
    scored = [
        Hypothesis(text, {"acoustic": round(-3.0 * len(reference.split()) + generator.gauss(0, 2), 3)})
        for text in texts
    ]
    scored.sort(key=lambda hypothesis: -hypothesis.scores["acoustic"])
    return Utterance(name, tuple(scored), reference, f"r{number // 5}")


def make_toy(folder: Path) -> Toy:
    """Write texts and lists of the toy language."""
    generator = random.Random(1)
    sentences = list(dict.fromkeys(sentence(generator) for _ in range(420)))
    texts = {"train": sentences[:280], "valid": sentences[280:310]}
    for name, lines in texts.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    for name, spoken in (("dev", sentences[310:350]), ("test", sentences[350:390])):
        utterances = [utterance(f"{name}{n}", n, text, generator) for n, text in enumerate(spoken)]
        write_nbest(folder / f"{name}.json", utterances)
    paths = [folder / name for name in ("train.txt", "valid.txt", "dev.json", "test.json")]
    return Toy(folder, sentences, *paths)
