"""Tuning does no harm: random development sets of real recognisers' lists, and the rest of each list as test.

Of each list random halves are taken (60 % for the short one), development sets of 25 to 300 utterances from the one,
and the other is rescored with what :func:`asr_lm.rescoring.development.tune_systems` chooses among the first pass, its
re-tuned scores and the packaged model. Two laws: on average the word error rate is never above the first pass's by more
than 0.05 points, and of what the whole half wins, at least 80 % is won with 300.
"""

from __future__ import annotations

import pickle
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.development import tune_systems
from asr_lm.rescoring.features.table import FeatureTable
from asr_lm.rescoring.scoring.models import as_models, feature_table
from asr_lm.rescoring.systems import systems_for_rescore

ON_REQUEST = True  # it takes long

DATA = Path(__file__).parents[2] / "../shared/data/nbest"
LISTS = {
    "ATIS": ("hyporadise/atis.train.json",),
    "WSJ": ("hyporadise/wsj.json",),
    "CHiME-4": ("hyporadise/chime4.json",),
    "Switchboard": ("hyporadise/swbd.json",),
    "CommonVoice": ("hyporadise/commonvoice.json",),
    "LibriSpeech CTC": ("librispeech-ctc/dev.jsonl.zst", "librispeech-ctc/test.jsonl.zst"),
}
SIZES = (25, 50, 100, 300)
SPLITS, WHOLE = 40, 6
"""Random splits with development sets of each size, and with the whole half."""

UTTERANCES = 2_000
"""Most utterances of a list."""

HARM, SHARE = 0.05, 0.8
SURE = 2.0
"""Standard errors by which the whole half must win on average for its share to be asked for."""


def run() -> list[dict[str, Any]]:
    """The two laws for each list; prints the table, and says nothing of lists that are missing."""
    found = []
    for name, paths in LISTS.items():
        if all((DATA / path).exists() for path in paths):
            table = _table(name, [DATA / path for path in paths])
            found += _laws(name, {size: _changes(table, size) for size in (*SIZES, _half(table))})
    return found


def _laws(name: str, changes: dict[int, list[float]]) -> list[dict[str, Any]]:
    """Points of word error rate that were added on average, by size of the development set, against what is allowed."""
    means = {size: statistics.mean(found) for size, found in changes.items()}
    *_, whole = means
    cells = [f"{mean:+.2f} ± {_error(changes[size]):.2f}" for size, mean in means.items()]
    print(f"| {name} | " + " | ".join(cells) + " |", file=sys.stderr, flush=True)
    worst = max(means.values())
    laws = [{"name": f"{name}, no harm", "ratio": 2 - worst / HARM, "against": "the harm allowed", "limit": 1.0}]
    if means[whole] < -SURE * _error(changes[whole]):
        share = means[SIZES[-1]] / means[whole]
        laws.append({"name": f"{name}, 300", "ratio": share, "against": f"what {whole} win", "limit": SHARE})
    return laws


def _error(changes: list[float]) -> float:
    return statistics.stdev(changes) / len(changes) ** 0.5


def _changes(table: FeatureTable, size: int) -> list[float]:
    return [_change(table, size, seed) for seed in range(WHOLE if size == _half(table) else SPLITS)]


def _half(table: FeatureTable) -> int:
    count = len(table.utterances)
    return max(count // 2, count * 6 // 10 if count < 2 * SIZES[-1] else 0)


def _change(table: FeatureTable, size: int, seed: int) -> float:
    """Points of word error rate that the chosen system adds on the test half."""
    shuffled = np.random.default_rng(seed).permutation(len(table.utterances))
    dev, test = table.select_utterances(shuffled[:size]), table.select_utterances(shuffled[_half(table) :])
    chosen, weights, _ = tune_systems(dev, systems_for_rescore(["default"]))
    if chosen.final not in weights:
        return 0.0
    rows = apply(weights[chosen.final], test).rows
    return float((test.word_errors(rows).rate or 0.0) - (test.word_errors(test.lists.starts).rate or 0.0))


def _table(name: str, paths: list[Path]) -> FeatureTable:
    """Features of a list, kept between runs: the packaged model takes a minute or two for each."""
    kept = Path(tempfile.gettempdir()) / "asr_lm-no-harm" / f"{name}.pickle"
    if kept.exists():
        table: FeatureTable = pickle.loads(kept.read_bytes())
        return table
    utterances = [utterance for path in paths for utterance in read_nbest(str(path))][:UTTERANCES]
    table = feature_table(utterances, as_models("default"), development=True)
    # Utterances are drawn one by one, and ids may stand in both of two files.
    count = len(utterances)
    table = replace(table, recordings=(None,) * count, utterances=tuple(map(str, range(count))))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(table))
    return table
