"""One utterance through :class:`asr_lm.Rescorer`, as a service has it: how long it takes on one core."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import torch

import asr_lm

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
HYPOTHESES = 20
LIMITS = {"harbour": 0.010, "default": 0.050}
"""Seconds that an utterance may take, by model."""


def run() -> list[dict[str, object]]:
    """How many times faster than the promised time, with an n-gram and with the packaged LSTM."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return [_measured(name, path) for name, path in (("harbour", _ngram(folder)), ("default", "default"))]


def _ngram(folder: str) -> str:
    """A 4-gram of the sample's text."""
    out = str(Path(folder, "harbour"))
    line = ("-m", "pipelines.train", "ngram", "--text", str(SAMPLE / "train.txt"), "--out", out, "--order", "4")
    subprocess.run([sys.executable, *line], check=True, capture_output=True)
    return out


def _measured(name: str, path: str) -> dict[str, object]:
    rescorer = asr_lm.Rescorer(path, score_kind="sum")
    utterances = [
        asr_lm.Utterance(utterance.id, utterance.hypotheses[:HYPOTHESES])
        for utterance in asr_lm.read_nbest(SAMPLE / "test.json")
        if len(utterance.hypotheses) >= HYPOTHESES
    ]
    for utterance in utterances[:10]:
        rescorer(utterance)
    seconds = []
    for utterance in utterances:
        begin = time.perf_counter()
        rescorer(utterance)
        seconds.append(time.perf_counter() - begin)
    middle, slowest = median(seconds), quantiles(seconds, n=100)[-1]
    return {
        "name": f"Rescorer, one utterance x {HYPOTHESES} hypotheses, model {name}, one core",
        "ratio": round(LIMITS[name] / middle, 2),
        "against": f"{1000 * LIMITS[name]:g} ms",
        "limit": 1.0,
        "notes": f"median {1000 * middle:.2f} ms, 99th percentile {1000 * slowest:.2f} ms of {len(seconds)}",
    }


if __name__ == "__main__":
    for line in run():
        print(line)
