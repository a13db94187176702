"""Sound, read a stretch at a time: files through libsndfile, or arrays of samples; one channel of what there is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lm.acoustic.sound_files import remedy
from asr_lm.errors import InputError

Signal = NDArray[np.float32]
"""Samples of one channel ``[samples]``, from -1 to 1."""

LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
"""Samples a second that speech is recorded with, from telephones to studios; damaged headers have others."""

MOST_CHANNELS = 64

SILENT_DECIBELS = -80
"""Loudness, of full scale, up to which a signal is silent: three steps of 16 bits, as dither has them."""

_BLOCK = 1 << 20
_TOLERANCE = 0.01
_CANCELLED = 1e-3
_LARGEST = 1e10
# Silence as FLAC has it: some 12 bytes for 65,535 samples.
_MOST_SAMPLES_A_BYTE = 100_000
_NO_END = "Last page lacks an end-of-stream bit"
_SIZES = re.compile(r"^data : (?P<said>\d+) \(should be (?P<there>\d+)\)", re.MULTILINE)
_UNKNOWN_SIZE = 0x7FFF_0000


class Mono(NamedTuple):
    """One channel of a stretch, and whether the mean of all was next to nothing, so that the first was taken."""

    signal: Signal
    cancelled: bool


@dataclass(frozen=True)
class Waveform(ABC):
    """Sound of which stretches can be read.

    Attributes:
        samples: of a channel.
        sample_rate: samples a second.
        channels: how many there are.
        channel: the one to take, from 1; None is the mean of all.
    """

    samples: int
    sample_rate: int
    channels: int
    channel: int | None

    def __post_init__(self) -> None:
        file = self.path
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            expected = f"expected {LOWEST_RATE:,} to {HIGHEST_RATE:,}"
            raise InputError(f"{self.sample_rate:,} samples a second, {expected}", file=file)
        if self.channels > MOST_CHANNELS:
            raise InputError(f"{self.channels:,} channels, expected {MOST_CHANNELS} at most", file=file)
        if self.channel is not None and not 1 <= self.channel <= self.channels:
            raise InputError(f"has no channel {self.channel}: there are {self.channels}", file=file)
        if not self.samples:
            raise InputError("holds no samples", file=file)

    @property
    @abstractmethod
    def path(self) -> Path | None:
        """The file it is read from."""

    @abstractmethod
    def read(self, first: int, counts: Iterable[int]) -> Iterator[Signal]:
        """Successive stretches ``[samples, channels]`` from a place on.

        Raises:
            InputError: what is there is damaged, or ends early.
        """

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.sample_rate

    def span(self, start: float, duration: float | None, late: float = _TOLERANCE) -> tuple[int, int]:
        """First sample and number of samples of a stretch in seconds; None is the rest.

        Args:
            start: of the stretch.
            duration: of the stretch.
            late: seconds that it may end after the sound; it is then shortened.

        Raises:
            InputError: it does not lie within the sound.
        """
        first = round(start * self.sample_rate)
        last = self.samples if duration is None else round((start + duration) * self.sample_rate)
        if abs(last - self.samples) <= _TOLERANCE * self.sample_rate:
            last = self.samples
        if self.samples < last <= self.samples + late * self.sample_rate:
            last = self.samples
        if not 0 <= first < last <= self.samples:
            wanted = "the end" if duration is None else f"{start + duration:.3f} s"
            raise InputError(
                f"no stretch from {start:.3f} s to {wanted}: it lasts {self.seconds:.3f} s", file=self.path
            )
        return first, last - first

    def blocks(self, first: int, count: int) -> Iterator[Signal]:
        """One channel of a stretch, at the sound's own rate, some seconds at a time.

        Raises:
            InputError: as :meth:`read`.
        """
        for stretch in self.mono(first, _cut(count, _BLOCK)):
            yield stretch.signal

    def mono(self, first: int, counts: Iterable[int]) -> Iterator[Mono]:
        """One channel of successive stretches, at the sound's own rate; it is read once.

        Raises:
            InputError: as :meth:`read`.
        """
        counts = list(counts)
        parts = [_cut(count, max(1, _BLOCK // self.channels)) for count in counts]
        read = self.read(first, [size for sizes in parts for size in sizes])
        for sizes in parts:
            yield self._joined([self._channels(next(read)) for _ in sizes])

    def _channels(self, block: Signal) -> Signal:
        """The mean ``[samples, 1]``, and the first channel, too, where there are several and none was chosen."""
        if self.channels == 1:
            return block
        if self.channel is not None:
            return block[:, self.channel - 1 : self.channel]
        return np.stack([block.mean(1), block[:, 0], np.square(block).mean(1)], 1)

    def _joined(self, blocks: Sequence[Signal]) -> Mono:
        joined = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
        if joined.shape[1] == 1:
            return Mono(joined[:, 0], False)
        power = float(joined[:, 2].astype(np.float64).mean())
        left = float(np.square(joined[:, 0].astype(np.float64)).mean())
        cancelled = power > 0 and left < _CANCELLED * power
        return Mono(np.ascontiguousarray(joined[:, 1 if cancelled else 0]), cancelled)

    def signals(self, first: int, counts: Iterable[int], sample_rate: int) -> Iterator[Signal]:
        """Successive stretches ``[samples]`` from a place on, at another rate; it is read once.

        Raises:
            InputError: as :meth:`read`.
        """
        for stretch in self.mono(first, counts):
            yield resampled(stretch.signal, self.sample_rate, sample_rate)

    def signal(self, first: int, count: int, sample_rate: int) -> Signal:
        """A stretch at another rate ``[samples]``; it is held in memory.

        Raises:
            InputError: as :meth:`read`.
        """
        return next(self.signals(first, [count], sample_rate))


@dataclass(frozen=True)
class Sound(Waveform):
    """A sound file."""

    file: Path

    @property
    def path(self) -> Path | None:
        """The file."""
        return self.file

    @classmethod
    def open(cls, path: Path, channel: int | None = None) -> Sound:
        """Look at a file.

        Args:
            path: the file.
            channel: the one to take, from 1; None is the mean of all.

        Raises:
            InputError: it is missing, no sound file, has no samples, is shorter than it says, or no speech has its
                sample rate.
        """
        with _opened(path) as file:
            if _is_cut_off(file.extra_info):
                raise InputError("damaged: it ends early", file=path)
            if file.frames > _MOST_SAMPLES_A_BYTE * path.stat().st_size:
                raise InputError(f"damaged: it has no room for {file.frames:,} samples", file=path)
            return cls(int(file.frames), int(file.samplerate), int(file.channels), channel, path)

    def read(self, first: int, counts: Iterable[int]) -> Iterator[Signal]:
        """Stretches of the file."""
        import soundfile

        with _opened(self.file) as file:
            try:
                # Going to where it is would have an MP3 file looked through for it.
                if first:
                    file.seek(first)
                for count in counts:
                    block = file.read(count, dtype="float32", always_2d=True)
                    if len(block) < count:
                        raise InputError("damaged: it ends early", file=self.file)
                    if not _is_sound(block):
                        raise InputError("damaged: a sample is no number", file=self.file)
                    yield block
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise InputError(f"damaged ({error})", file=self.file) from None


@dataclass(frozen=True)
class SampleArray(Waveform):
    """Samples in memory ``[samples, channels]``."""

    values: Signal

    @property
    def path(self) -> Path | None:
        """There is none."""
        return None

    @classmethod
    def of(cls, values: NDArray[Any], sample_rate: int, channel: int | None = None) -> SampleArray:
        """An array ``[samples]`` or ``[samples, channels]``: real numbers from -1 to 1, or whole ones of their type.

        Raises:
            InputError: it is no such array, a value is no number, or no speech has its sample rate.
        """
        array = np.asarray(values)
        if array.ndim not in (1, 2) or array.dtype.kind not in "fi":
            raise InputError(f"an array {array.dtype}{list(array.shape)}, expected [samples] or [samples, channels]")
        scale = 1.0 if array.dtype.kind == "f" else -float(np.iinfo(array.dtype).min)
        table = (array.reshape(len(array), -1) / scale).astype(np.float32)
        if not _is_sound(table):
            raise InputError("a sample is no number")
        return cls(len(table), sample_rate, table.shape[1], channel, table)

    def read(self, first: int, counts: Iterable[int]) -> Iterator[Signal]:
        """Stretches of the array."""
        for count in counts:
            yield self.values[first : first + count]
            first += count


def is_silent(signal: Signal) -> bool:
    """Whether nothing is to be heard in a signal ``[samples]``, whatever its constant part."""
    return not len(signal) or float(np.ptp(signal)) / 2 <= 10 ** (SILENT_DECIBELS / 20)


def resampled(signal: Signal, given: int, wanted: int) -> Signal:
    """A signal ``[samples]`` at another rate, by the SoX resampler; memory grows with the signal alone."""
    if given == wanted:
        return signal
    import soxr

    return np.asarray(soxr.resample(signal, given, wanted), np.float32)


def _is_sound(block: Signal) -> bool:
    """Whether all samples are numbers, and none is beyond any scale."""
    return bool((np.abs(block) <= _LARGEST).all())


def _cut(count: int, size: int) -> list[int]:
    return [min(size, count - begin) for begin in range(0, count, size)]


def _opened(path: Path) -> Any:
    import soundfile

    try:
        if not path.exists():
            raise InputError("no such file", file=path)
        if path.is_dir():
            raise InputError("is a folder, a sound file was expected", file=path)
        if not path.stat().st_size:
            raise InputError("empty file, expected sound", file=path)
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise InputError(f"no sound file, or a damaged one ({reason}){remedy(path)}", file=path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", file=path) from None


def _is_cut_off(facts: str) -> bool:
    """Whether libsndfile has noticed that a file ends early; it reads what is there without a word."""
    if _NO_END in facts:
        return True
    sizes = _SIZES.search(facts)
    # What was written to a pipe says that it is as long as can be.
    return sizes is not None and int(sizes["there"]) < int(sizes["said"]) < _UNKNOWN_SIZE
