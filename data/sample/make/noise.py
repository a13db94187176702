"""The noises of a harbour, made from random numbers: hiss, wind, sea and an engine.

A kind of noise is a function ``(samples, sample_rate, generator) -> [samples]`` float32 of any level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]
Noise = Callable[[int, int, np.random.Generator], Signal]


def coloured(samples: int, sample_rate: int, generator: np.random.Generator, slope: float) -> Signal:
    """Noise whose amplitude spectrum falls as frequency to the power ``slope`` (0 white, 0.5 pink, 1 brown)."""
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    spectrum /= np.maximum(frequencies, 50.0) ** slope
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def hiss(samples: int, sample_rate: int, generator: np.random.Generator) -> Signal:
    """The pink noise of a poor radio."""
    return coloured(samples, sample_rate, generator, 0.5)


def wind(samples: int, sample_rate: int, generator: np.random.Generator) -> Signal:
    """Brown noise in slow gusts."""
    return _swelling(coloured(samples, sample_rate, generator, 1.0), sample_rate, generator, 0.5)


def sea(samples: int, sample_rate: int, generator: np.random.Generator) -> Signal:
    """Surf: noise between white and pink that swells and falls."""
    return _swelling(coloured(samples, sample_rate, generator, 0.3), sample_rate, generator, 0.9)


def engine(samples: int, sample_rate: int, generator: np.random.Generator) -> Signal:
    """A diesel: harmonics of a low, slightly unsteady note over pink noise."""
    note = generator.uniform(40, 90) * (1 + 0.02 * np.cumsum(generator.standard_normal(samples)) / np.sqrt(sample_rate))
    phase = 2 * np.pi * np.cumsum(note) / sample_rate
    tones = sum(generator.uniform(0.3, 1) / harmonic * np.sin(harmonic * phase) for harmonic in range(1, 20))
    rumble = coloured(samples, sample_rate, generator, 0.5)
    return (tones + rumble / rumble.std()).astype(np.float32)


def _swelling(noise: Signal, sample_rate: int, generator: np.random.Generator, depth: float) -> Signal:
    time = np.arange(len(noise)) / sample_rate
    swell = np.sin(2 * np.pi * (generator.uniform(0.2, 0.6) * time + generator.uniform()))
    return (noise * (1 + depth * swell)).astype(np.float32)


KINDS: dict[str, Noise] = {"engine": engine, "hiss": hiss, "sea": sea, "wind": wind}


def mixed(speech: Signal, noise: Noise, ratio: float, sample_rate: int, generator: np.random.Generator) -> Signal:
    """Speech with noise added at ``ratio`` decibels (mean power of the speech over mean power of the noise)."""
    sound = noise(len(speech), sample_rate, generator)
    gain = np.sqrt(np.mean(speech**2) / np.mean(sound**2)) * 10 ** (-ratio / 20)
    return speech + np.float32(gain) * sound
