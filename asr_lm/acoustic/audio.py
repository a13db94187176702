"""Sound files, read through libsndfile a stretch at a time: one channel, at the rate a recogniser wants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lm.errors import InputError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")
"""What counts as a sound file in a folder."""

Signal = NDArray[np.float32]

_BLOCK = 1 << 20
_TOLERANCE = 0.01
_NO_END = "Last page lacks an end-of-stream bit"
_SIZES = re.compile(r"^data : (?P<said>\d+) \(should be (?P<there>\d+)\)", re.MULTILINE)
_UNKNOWN_SIZE = 0x7FFF_0000


@dataclass(frozen=True)
class Sound:
    """A file's facts: samples a channel, and samples a second."""

    path: Path
    samples: int
    sample_rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.sample_rate

    @classmethod
    def open(cls, path: Path) -> Sound:
        """Look at a file.

        Raises:
            InputError: it is missing, no sound file, has no samples, or is shorter than it says.
        """
        with _opened(path) as file:
            if _is_cut_off(file.extra_info):
                raise InputError("damaged: it ends early", file=path)
            if not file.frames:
                raise InputError("holds no samples", file=path)
            return cls(path, int(file.frames), int(file.samplerate))

    def span(self, start: float, duration: float | None) -> tuple[int, int]:
        """First sample and number of samples of a stretch in seconds; None is the rest of the file.

        Raises:
            InputError: it does not lie within the file; a hundredth of a second too much is no matter.
        """
        first = round(start * self.sample_rate)
        last = self.samples if duration is None else round((start + duration) * self.sample_rate)
        if abs(last - self.samples) <= _TOLERANCE * self.sample_rate:
            last = self.samples
        if not 0 <= first < last <= self.samples:
            wanted = "the end" if duration is None else f"{start + duration:.3f} s"
            raise InputError(
                f"no stretch from {start:.3f} s to {wanted}: it lasts {self.seconds:.3f} s", file=self.path
            )
        return first, last - first

    def blocks(self, first: int, count: int) -> Iterator[Signal]:
        """The mean of the channels of a stretch, at the file's own rate, some seconds at a time.

        Raises:
            InputError: the file is damaged, ends early, or holds a sample that is no number.
        """
        sizes = [min(_BLOCK, count - begin) for begin in range(0, count, _BLOCK)]
        yield from self._read(first, sizes)

    def signals(self, first: int, counts: Iterable[int], sample_rate: int) -> Iterator[Signal]:
        """Successive stretches ``[samples]`` from a place on, at another rate; the file is read once.

        Raises:
            InputError: as :meth:`blocks`.
        """
        for signal in self._read(first, counts):
            yield self._resampled(signal, sample_rate)

    def signal(self, first: int, count: int, sample_rate: int) -> Signal:
        """A stretch at another rate ``[samples]``; it is held in memory.

        Raises:
            InputError: as :meth:`blocks`.
        """
        return next(self.signals(first, [count], sample_rate))

    def _read(self, first: int, counts: Iterable[int]) -> Iterator[Signal]:
        import soundfile

        with _opened(self.path) as file:
            try:
                # Going to where it is would have an MP3 file looked through for it.
                if first:
                    file.seek(first)
                for count in counts:
                    block = file.read(count, dtype="float32", always_2d=True)
                    if len(block) < count:
                        raise InputError("damaged: it ends early", file=self.path)
                    if not np.isfinite(block).all():
                        raise InputError("damaged: a sample is no number", file=self.path)
                    yield block.mean(1) if block.shape[1] > 1 else block[:, 0]
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise InputError(f"damaged ({error})", file=self.path) from None

    def _resampled(self, signal: Signal, sample_rate: int) -> Signal:
        if self.sample_rate == sample_rate:
            return signal
        import torch
        from torchaudio.functional import resample

        return resample(torch.from_numpy(signal), self.sample_rate, sample_rate).numpy()


def _opened(path: Path) -> Any:
    import soundfile

    if not path.exists():
        raise InputError("no such file", file=path)
    if path.is_dir():
        raise InputError("is a folder, a sound file was expected", file=path)
    if not path.stat().st_size:
        raise InputError("empty file, expected sound", file=path)
    try:
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise InputError(f"no sound file, or a damaged one ({reason})", file=path) from None


def _is_cut_off(facts: str) -> bool:
    """Whether libsndfile has noticed that a file ends early; it reads what is there without a word."""
    if _NO_END in facts:
        return True
    sizes = _SIZES.search(facts)
    # What was written to a pipe says that it is as long as can be.
    return sizes is not None and int(sizes["there"]) < int(sizes["said"]) < _UNKNOWN_SIZE
