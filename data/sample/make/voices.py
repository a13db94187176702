"""Speaks the sample's sentences with synthetic voices, in noise, at several speeds and levels.

Needs the programs ``espeak-ng``, ``flite`` and ``sox``. Train sentences are spoken by several voices each; dev and test
sentences once, in recordings of twenty sentences by one voice in one kind of noise; one of the ten voices is unknown
to training, and each split has its own sessions. Everything random follows from an utterance's place in its file.

Written: ``WORK/audio/{train,dev,test}/ID.flac`` (16 kHz, mono) and the manifests ``WORK/{train,dev,test}.jsonl``, one
object an utterance: ``{"id", "audio", "duration", "reference", "recording"}``.

    python data/sample/make/voices.py --sentences data/sample --work /tmp/sample
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from noise import KINDS, Signal, mixed
from sentences import read_sentences

SAMPLE_RATE = 16_000
RENDERINGS = 6  # voices that speak each train sentence
RECORDING = 20  # dev or test sentences in one recording


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    Attributes:
        name: what recordings call it.
        program: ``espeak-ng`` or ``flite``.
        voice: the program's own name of the voice (for espeak-ng language and variant).
        pace: words a minute (espeak-ng) or stretch of the durations (flite).
        pitch: espeak-ng's pitch, 0 to 99; flite's voices keep their own.
    """

    name: str
    program: str
    voice: str
    pace: float
    pitch: int = 50

    def command(self, text: str, pace: float, pitch: int) -> list[str]:
        """The command line that writes the text's speech as a WAV file to standard output."""
        if self.program == "flite":
            stretch = f"duration_stretch={self.pace / pace:.3f}"
            return ["flite", "-voice", self.voice, "--setf", stretch, "-t", text, "-o", "/dev/stdout"]
        words_a_minute = str(round(self.pace * pace))
        return ["espeak-ng", "-v", self.voice, "-s", words_a_minute, "-p", str(pitch), "--stdout", text]


TRAINED = (
    Voice("slt", "flite", "slt", 1.0),
    Voice("rms", "flite", "rms", 1.0),
    Voice("awb", "flite", "awb", 1.0),
    Voice("ada", "espeak-ng", "en-gb+f2", 160, 55),
    Voice("ben", "espeak-ng", "en-us+m3", 165, 45),
    Voice("fergus", "espeak-ng", "en-gb-scotland+m1", 155, 40),
    Voice("grace", "espeak-ng", "en-gb-x-rp+f4", 160, 60),
    Voice("joan", "espeak-ng", "en-029+f3", 155, 50),
    Voice("len", "espeak-ng", "en-gb-x-gbclan+m7", 160, 50),
    Voice("walt", "espeak-ng", "en-gb-x-gbcwmd+m5", 165, 35),
)
UNKNOWN = Voice("nell", "espeak-ng", "en-us-nyc+f5", 160, 50)
LISTED = (*(voice for voice in TRAINED if voice.name != "awb"), UNKNOWN)  # in dev and test; awb only trains


@dataclass(frozen=True)
class Conditions:
    """How an utterance is spoken and heard.

    Attributes:
        pace: factor on the voice's own pace.
        pitch: added to the voice's own pitch.
        speed: factor of sox's ``speed`` effect (pace and pitch together).
        noise: kind of noise, a key of ``noise.KINDS``.
        ratio: signal-to-noise ratio in decibels.
        level: peak of the result, 0 to 1.
    """

    pace: float
    pitch: int
    speed: float
    noise: str
    ratio: float
    level: float


@dataclass(frozen=True)
class Task:
    """One utterance to be spoken: ``index`` is its seed, ``recording`` the voice and session it belongs to."""

    id: str
    recording: str
    text: str
    voice: Voice
    conditions: Conditions


def drawn_conditions(generator: random.Random, lowest: float, highest: float) -> Conditions:
    """Random conditions with a signal-to-noise ratio between ``lowest`` and ``highest`` decibels."""
    return Conditions(
        pace=generator.uniform(0.92, 1.08),
        pitch=generator.randint(-10, 10),
        speed=generator.uniform(0.95, 1.05),
        noise=generator.choice(sorted(KINDS)),
        ratio=generator.uniform(lowest, highest),
        level=generator.uniform(0.1, 0.9),
    )


def train_tasks(sentences: list[str]) -> Iterator[Task]:
    """Every train sentence by ``RENDERINGS`` different voices, each time in conditions of its own."""
    for number, text in enumerate(sentences):
        generator = random.Random(f"train {number}")
        for voice in generator.sample(TRAINED, RENDERINGS):
            conditions = drawn_conditions(generator, 0, 30)
            yield Task(f"train-{number:04d}-{voice.name}", f"{voice.name}-train", text, voice, conditions)


def listed_tasks(split: str, sentences: list[str], ratios: tuple[float, float]) -> Iterator[Task]:
    """Dev or test sentences in recordings: voice, noise and level are the recording's, pace and speed vary a little."""
    for start in range(0, len(sentences), RECORDING):
        voice = LISTED[start // RECORDING % len(LISTED)]
        recording = f"{voice.name}-{split}"
        session = drawn_conditions(random.Random(recording), *ratios)
        for place, text in enumerate(sentences[start : start + RECORDING]):
            own = drawn_conditions(random.Random(f"{recording} {place}"), session.ratio - 3, session.ratio + 3)
            conditions = Conditions(own.pace, session.pitch, session.speed, session.noise, own.ratio, session.level)
            yield Task(f"{recording}-{place:03d}", recording, text, voice, conditions)


def spoken(task: Task) -> Signal:
    """The utterance's clean speech at 16 kHz, after sox's speed change, ``[samples]`` float32."""
    voice, conditions = task.voice, task.conditions
    command = voice.command(task.text, conditions.pace, max(0, min(99, voice.pitch + conditions.pitch)))
    wave = subprocess.run(command, check=True, capture_output=True).stdout
    effects = ["speed", f"{conditions.speed:.3f}", "rate", str(SAMPLE_RATE), "pad", "0.1", "0.1"]
    # Programs that write to a pipe leave the length in the WAV header open, so sox is told to ignore it.
    files = ["--ignore-length", "-t", "wav", "-", "-t", "wav", "-b", "16", "-"]
    sox = ["sox", "-V1", "-D", *files, "gain", "-3", *effects]
    wave = subprocess.run(sox, check=True, capture_output=True, input=wave).stdout
    signal, _ = soundfile.read(io.BytesIO(wave), dtype="float32")
    return signal


def heard(task: Task) -> Signal:
    """The utterance as the microphone has it: speech, noise and level, ``[samples]`` float32."""
    conditions = task.conditions
    generator = np.random.default_rng(zlib.crc32(task.id.encode()))
    signal = mixed(spoken(task), KINDS[conditions.noise], conditions.ratio, SAMPLE_RATE, generator)
    return signal * np.float32(conditions.level / np.abs(signal).max())


def record(task: Task, folder: Path) -> dict[str, object]:
    """Write the utterance's FLAC file below ``folder``; return its line of the manifest."""
    path = folder / f"{task.id}.flac"
    signal = heard(task)
    soundfile.write(path, signal, SAMPLE_RATE, subtype="PCM_16")
    return {
        "id": task.id,
        "audio": str(path.relative_to(folder.parents[1])),
        "duration": round(len(signal) / SAMPLE_RATE, 3),
        "reference": task.text,
        "recording": task.recording,
    }


def record_split(split: str, tasks: list[Task], work: Path, jobs: int) -> None:
    """Write a split's audio and its manifest ``WORK/SPLIT.jsonl``."""
    folder = work / "audio" / split
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        lines = list(pool.map(lambda task: record(task, folder), tasks))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (work / f"{split}.jsonl").write_text(text, encoding="utf-8")
    print(f"{split}: {len(lines)} utterances, {sum(float(str(line['duration'])) for line in lines) / 3600:.2f} hours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, required=True, help="folder of train.txt, dev.txt, test.txt")
    parser.add_argument("--work", type=Path, required=True, help="folder for audio and manifests")
    parser.add_argument("--splits", nargs="+", default=["dev", "test", "train"])
    parser.add_argument("--ratios", type=float, nargs=2, default=(10.0, 22.0), help="dev and test: lowest, highest dB")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    for split in arguments.splits:
        sentences = read_sentences(arguments.sentences / f"{split}.txt")
        listed = listed_tasks(split, sentences, tuple(arguments.ratios))
        tasks = list(train_tasks(sentences) if split == "train" else listed)
        record_split(split, tasks, arguments.work, arguments.jobs)


if __name__ == "__main__":
    main()
