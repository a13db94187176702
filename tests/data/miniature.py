"""Corpora of the shape of the published ones, a few utterances small, and recipes run within the test's process."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lm.corpora.download import Remote
from asr_lm.files import iterate_text
from pipelines.command import run

ROOT = Path(__file__).parents[2]


def call(module: str, *arguments: object) -> int:
    """Run ``python -m MODULE ARGUMENTS`` in this process; its exit code."""
    command = importlib.import_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *map(str, arguments)])
        try:
            run(command.main)
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def sound(seconds: float = 0.1, kind: str = "WAV") -> bytes:
    """A sound file with 16,000 different samples a second."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.arange(int(16_000 * seconds), dtype=np.int16), 16_000, format=kind)
    return buffer.getvalue()


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Files below a folder."""
    for name, content in files.items():
        assert not name.startswith("/")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """A gzipped tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zipped(text: str) -> bytes:
    """A gzipped text."""
    return gzip.compress(text.encode())


def published(place: str, content: bytes, algorithm: str = "sha256") -> Remote:
    """A file as if it were published."""
    return Remote(place, len(content), f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")


def lines(path: Path) -> list[str]:
    """The lines of a text."""
    return [line for _, line in iterate_text(path)]


def tree(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def readme_lines(section: str) -> Iterator[str]:
    """The commands of a section of the recipes' README, loops written out."""
    text = (ROOT / "data" / "README.md").read_text()
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for line in re.findall(r"^    (.*)$", body, re.MULTILINE):
        if loop := re.fullmatch(r"for part in (.*); do (.*); done", line):
            yield from (loop[2].replace("$part", part) for part in loop[1].split())
        else:
            yield line
