"""Sound files, read through libsndfile a stretch at a time: one channel, at the rate a recogniser wants."""

from __future__ import annotations

from collections.abc import Iterator
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
            InputError: it is missing, no sound file, or has no samples.
        """
        with _opened(path) as file:
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
        import soundfile

        with _opened(self.path) as file:
            try:
                file.seek(first)
                while count:
                    block = file.read(min(count, _BLOCK), dtype="float32", always_2d=True)
                    if not len(block):
                        raise InputError("damaged: it ends early", file=self.path)
                    if not np.isfinite(block).all():
                        raise InputError("damaged: a sample is no number", file=self.path)
                    count -= len(block)
                    yield block.mean(1) if block.shape[1] > 1 else block[:, 0]
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise InputError(f"damaged ({error})", file=self.path) from None

    def signal(self, first: int, count: int, sample_rate: int) -> Signal:
        """A stretch at another rate ``[samples]``; it is held in memory.

        Raises:
            InputError: as :meth:`blocks`.
        """
        signal = np.concatenate(list(self.blocks(first, count)))
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
