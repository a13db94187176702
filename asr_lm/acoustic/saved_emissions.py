"""Emissions kept on disk: safetensors, ``[frames, tokens]`` float16 log-probabilities by the utterance's id.

What safetensors has no place for is JSON in the file's metadata: ``utterances`` (of each its source, its number among
the segments of that and their count, its offset, reference and recording, whether it is silent), ``frame_seconds`` and
``recogniser``. Files without it, of somebody else, are read as well. A folder holds any number of such files,
``tokens.txt`` and, where the tokens are not letters with a word end, ``config.json`` that says what they are
(:mod:`asr_lm.acoustic.tokens`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from asr_lm.acoustic.segments import Segment, SegmentSource
from asr_lm.acoustic.tokens import CONFIG_FILE, TOKENS_FILE, Tokens
from asr_lm.errors import InputError
from asr_lm.files import atomic_write, make_folder, write_text

SUFFIX = ".safetensors"
_SHARD_BYTES = 64 << 20
_FACTS = ("source", "number", "of", "offset", "reference", "recording", "silent")

_Places = dict[str, tuple[Path, dict[str, Any]]]


@dataclass
class Shards:
    """A folder that emissions go to, a file for every 64 MB.

    Attributes:
        folder: it may hold files of an earlier run with the same recogniser.
        recogniser: its name.
        tokens: of the recogniser.
        frame_seconds: of its frames.
    """

    folder: Path
    recogniser: str
    tokens: Tokens
    frame_seconds: float
    _waiting: list[Segment] = field(default_factory=list)
    _bytes: int = 0

    def __post_init__(self) -> None:
        make_folder(self.folder)
        paths = _files([self.folder], must_exist=False)
        self._next = len(paths)
        for path in paths:
            if (other := _metadata(path).get("recogniser")) != self.recogniser:
                raise InputError(f"holds emissions of {other}, not of {self.recogniser}", file=path)
        self._saved = _places(paths, len(self.tokens))
        self.saved = {source.id: source for source in _sources(self._saved, complete=True)}
        self.tokens.write(self.folder)
        if described := self.tokens.description():
            write_text(self.folder / CONFIG_FILE, json.dumps({"tokens": described}, ensure_ascii=False) + "\n")

    def __contains__(self, segment: str) -> bool:
        """Whether an earlier run has saved a segment."""
        return segment in self._saved

    def keep(self, segment: Segment) -> Segment:
        """Keep the emissions of a segment, unless they are kept already, and give them as they will be read."""
        rounded = segment.with_content(segment.content.half())
        if segment.id not in self:
            self._waiting.append(rounded)
            self._bytes += 2 * rounded.content.numel()
        if self._bytes >= _SHARD_BYTES:
            self.flush()
        return segment.with_content(rounded.content.float())

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        utterances = {segment.id: {name: getattr(segment, name) for name in _FACTS} for segment in self._waiting}
        metadata = {
            "utterances": json.dumps(utterances),
            "frame_seconds": repr(self.frame_seconds),
            "recogniser": self.recogniser,
        }
        tensors = {segment.id: segment.content.contiguous() for segment in self._waiting}
        with atomic_write(self.folder / f"{self._next:05}{SUFFIX}") as stream:
            stream.write(save(tensors, metadata=metadata))
        self._next += 1
        self._waiting, self._bytes = [], 0


class SavedEmissions:
    """Emissions of files, or of the files of folders, by the utterance's id.

    Args:
        paths: files and folders.
        tokens: that they are of; None: those of ``tokens.txt`` beside the first.

    Attributes:
        tokens: of the recogniser.

    Raises:
        InputError: no such file, a damaged one, no tokens, an utterance of other tokens or there twice.
    """

    def __init__(self, paths: Sequence[Path], tokens: Tokens | None = None) -> None:
        self.tokens = tokens or Tokens.read(beside(paths[0]))
        self._places = _places(_files(paths), len(self.tokens))
        self._names = ", ".join(map(str, paths))

    def __getitem__(self, utterance: str) -> Tensor:
        """Log-probabilities ``[frames, tokens]`` float32.

        Raises:
            InputError: there are none of this utterance, or they are no log-probabilities.
        """
        if utterance not in self._places:
            raise InputError("no emissions of it", file=self._names, utterance=utterance)
        return _emissions(utterance, self._places[utterance][0])


def beside(path: Path) -> Path:
    """The file of tokens that lies beside emissions."""
    return (path if path.is_dir() else path.parent) / TOKENS_FILE


def saved_sources(paths: Iterable[Path], tokens: Tokens) -> list[SegmentSource]:
    """The utterances in files, or in the files of folders, in the order of their ids within a file.

    Raises:
        InputError: no such file, a damaged one, an utterance of other tokens or there twice.
    """
    return _sources(_places(_files(paths), len(tokens)))


def frame_seconds(paths: Iterable[Path]) -> float | None:
    """Seconds from one frame to the next, where the files say it and agree."""
    said = {_metadata(path).get("frame_seconds") for path in _files(paths)}
    value = said.pop() if len(said) == 1 else None
    return None if value is None else float(value)


def _files(paths: Iterable[Path], must_exist: bool = True) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError("no such file or folder", file=path)
        inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not inside and must_exist:
            raise InputError(f"no emissions in this folder, expected files that end in {SUFFIX}", file=path)
        found += inside
    return found


def _places(paths: Iterable[Path], tokens: int) -> _Places:
    """Where each utterance is, and what is known of it."""
    places: _Places = {}
    for path in paths:
        with _opened(path) as file:
            names = list(file.keys())
            for name in names:
                shape = file.get_slice(name).get_shape()
                if len(shape) != 2 or shape[1] != tokens or not shape[0]:
                    message = f"emissions of shape {shape}, expected [frames, {tokens}] as there are {tokens} tokens"
                    raise InputError(message, file=path, utterance=name)
        facts = json.loads(_metadata(path).get("utterances", "{}"))
        for name in facts or names:
            if name in places:
                raise InputError(f"emissions of it are in {places[name][0]}, too", file=path, utterance=name)
            places[name] = path, facts.get(name, {})
    return places


def _sources(places: _Places, complete: bool = False) -> list[SegmentSource]:
    """Sources of utterances; with ``complete`` only those of which every segment is there."""
    names: dict[str, list[str]] = {}
    for name, (_, facts) in places.items():
        names.setdefault(facts.get("source", name), []).append(name)
    for each in names.values():
        each.sort(key=lambda name: places[name][1].get("number", 0))
    return [
        SegmentSource(source, partial(_load, source, [(name, *places[name]) for name in each]))
        for source, each in names.items()
        if not complete or len(each) == places[each[0]][1].get("of", 1)
    ]


def _load(source: str, utterances: Sequence[tuple[str, Path, dict[str, Any]]]) -> Iterator[Segment]:
    for number, (name, path, facts) in enumerate(utterances):
        known = facts.get("offset", 0.0), _emissions(name, path), facts.get("reference"), facts.get("recording")
        yield Segment(name, *known, source, number, len(utterances), str(path), silent=bool(facts.get("silent")))


def _emissions(name: str, path: Path) -> Tensor:
    with _opened(path) as file:
        emissions: Tensor = file.get_tensor(name).float()
    if torch.isnan(emissions).any() or (emissions > 0.01).any():
        raise InputError("expected log-probabilities, found NaN or a value above 0", file=path, utterance=name)
    return emissions


def _metadata(path: Path) -> dict[str, str]:
    with _opened(path) as file:
        return file.metadata() or {}


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise InputError(f"damaged, or no safetensors file ({error})", file=path) from None
