"""Commands as people run them, on the toy language of ``tests/pipelines``, and what they leave behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "pipelines"))

from toy_language import Finished, Toy, call, make_toy, utterance

from asr_lm.hypotheses.writing import write_nbest

SAMPLE = Path(__file__).parents[2] / "data/sample"
_MEASURED = ("seconds", "tokens_per_second", "hypotheses_per_second", "speed", "real_time_factor", "hyp_per_second")
"""What no two runs have in common."""

_PACE = ("--vocabulary", "words", "--embedding", 12, "--hidden", 12, "--epochs", 3, "--batch-tokens", 128)
_HEARD = ("len-test-000", "walt-test-000")
"""Utterances of the sample that are recognised."""


MODELS = ("ngram", "lstm", "birnn-attention")


@dataclass(frozen=True)
class Place:
    """Attributes: the toy's data; the folders of models, by name."""

    toy: Toy
    models: Mapping[str, Path]

    @classmethod
    def make(cls, folder: Path, names: Sequence[str] = MODELS) -> Place:
        """Write data and train the models of these names."""
        toy, models = make_toy(folder), {name: folder / name for name in MODELS}
        _write_pairs(toy)
        _copy_sounds(folder / "sounds")
        with contextlib.chdir(folder):
            for name in names:
                finished = call("train", name, *_training(toy, name), "--out", models[name])
                assert finished.code == 0, finished.err
        return cls(toy, models)

    def commands(self) -> dict[str, tuple[object, ...]]:
        """Command lines by name; outputs go to the current folder."""
        toy, ngram, lstm = self.toy, self.models["ngram"], self.models["lstm"]
        pairs, few = self.models["birnn-attention"], toy.folder / "few.json"
        lists = ("--nbest", toy.test, "--dev", toy.dev, "--lm", ngram, "--lm", lstm)
        reports = ("--report", "r.html", "--markdown", "r.md", "--plots", "plots", "--save-weights", "weights")
        return {
            "train ngram": ("train", "ngram", *_training(toy, "ngram"), "--out", "m", "--jackknife", 2),
            "train lstm": ("train", "lstm", *_training(toy, "lstm"), "--out", "m"),
            "train mixture": (
                "train",
                "mixture",
                "--lm",
                ngram,
                "--lm",
                lstm,
                "--valid",
                toy.valid,
                "--out",
                "m",
                "--copy",
            ),
            "train birnn-attention": ("train", "birnn-attention", *_training(toy, "birnn-attention"), "--out", "m"),
            "decode": (
                *("decode", "--audio", toy.folder / "sounds", "--model", SAMPLE / "model", "--free", "--device", "cpu"),
                *("--beam", 5, "--nbest", 3, "--out", "o.jsonl", "--ctm", "o.ctm"),
            ),
            "rescore": ("rescore", *lists, "--out", "o.json", "--json", "s.json", "--save-weights", "w.json"),
            "correct": (
                *("rescore", "--nbest", few, "--dev", toy.dev, "--lm", pairs, "--lm", ngram, "--correct"),
                *("--beam", 2, "--corrections", 1, "--out", "o.json", "--save-weights", "w.json", "--force"),
                *("--plot-attention", "plots"),
            ),
            "generate": ("generate", "--lm", ngram, "--lm", lstm, "--number", 3, "--json", "g.json"),
            "compare": ("compare", "--test", toy.test, *lists[2:], "--json", "s.json", *reports),
            "perplexity": ("perplexity", "--lm", ngram, "--lm", lstm, "--text", toy.valid, "--json", "p.json"),
        }


def _write_pairs(toy: Toy) -> None:
    """Lists of the sentences that models were trained on, for models that correct."""
    generator = random.Random(5)
    parts = {"pairs": toy.sentences[:20], "pairs-valid": toy.sentences[60:65], "few": toy.sentences[350:354]}
    for name, spoken in parts.items():
        some = [utterance(f"{name}{number}", number, text, generator) for number, text in enumerate(spoken)]
        write_nbest(toy.folder / f"{name}.json", some)


def _copy_sounds(folder: Path) -> None:
    folder.mkdir()
    for name in _HEARD:
        shutil.copy(SAMPLE / "audio" / f"{name}.flac", folder)


def _training(toy: Toy, model: str) -> tuple[object, ...]:
    if model == "birnn-attention":
        lists = ("--nbest", toy.folder / "pairs.json", "--valid-nbest", toy.folder / "pairs-valid.json")
        return (*lists, *_PACE, "--attention", 8, "--maxout", 12)
    text = ("--text", toy.train, "--valid", toy.valid)
    return (*text, "--order", 3) if model == "ngram" else (*text, *_PACE)


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """An empty current folder with a cache of its own."""
    folder.mkdir()
    before = os.environ.get("ASR_LM_CACHE")
    os.environ["ASR_LM_CACHE"] = str(folder / "cache")
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.pop("ASR_LM_CACHE")
        if before is not None:
            os.environ["ASR_LM_CACHE"] = before


def left(folder: Path) -> dict[str, str]:
    """Digest of every file of a folder but the cache's and the error stream's, without what was measured."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)): path for path in files}
    return {name: _digest(path) for name, path in names.items() if not name.startswith(("cache/", "err.txt"))}


def half_written(folder: Path) -> list[str]:
    """Hidden files and folders: what is being written, or was when it was ended."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


def _digest(path: Path) -> str:
    # The page is packed and tells speeds: that it is whole is enough.
    data = b"page" if path.suffix in (".html", ".md") and path.stat().st_size > 100 else path.read_bytes()
    if path.suffix in (".json", ".jsonl") and path.name != "o.json":
        data = json.dumps([_plain(json.loads(line)) for line in _values(data)]).encode()
    return hashlib.sha256(data).hexdigest()


def _values(data: bytes) -> list[bytes]:
    try:
        json.loads(data)
    except ValueError:
        return data.splitlines()
    return [data]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name not in _MEASURED}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


__all__ = ["Finished", "Place", "call", "half_written", "left", "own_folder"]


def each_command(names: Sequence[str], models: Sequence[str]) -> Iterator[tuple[str, tuple[object, ...], Path]]:
    """Name, line and an empty folder of the named commands, of all where none is named; the folders go at the end.

    Args:
        names: of the commands.
        models: that these need.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        found = Place.make(folder / "data", models).commands()
        for command in names or found:
            yield command, found[command], Path(tempfile.mkdtemp(dir=folder))
