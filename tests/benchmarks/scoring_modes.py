"""Ways of scoring 100-best lists against padded float32 batches: how fast each is, and the word error rate it leaves.

Exact scores, products in bfloat16, and histories recombined by their last words, each with and without. The LSTM is the
packaged one. GPT-1 has random weights, with which the arithmetic is the same, unless there is a trained one (a folder
in ``$ASR_LM_BENCH_GPT1``): only that has error rates. Weights are tuned on the development list with the scores of the
same mode, and applied to the test list. ``python -m tests.benchmarks scoring_modes``.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import asr_lm
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.lm.precision import Precision, resolve_precision
from asr_lm.rescoring.decisions import apply
from asr_lm.rescoring.scoring.models import RescoringModel, feature_table
from asr_lm.rescoring.tuning.tune import tune_weights
from tests.benchmarks import gpt1_tree, prefix_tree
from tests.benchmarks._turns import in_turn, ratio, timed

LISTS = Path(__file__).parents[2] / "../shared/data/nbest/librispeech-ctc"
GPT1 = os.environ.get("ASR_LM_BENCH_GPT1")
EVERY = {"LSTM": 12, "GPT-1": 24}
"""Of the lists' utterances every so many are timed."""

MODES: tuple[tuple[Precision, int], ...] = (
    *(("float32", 0), ("bfloat16", 0), ("float32", 4), ("float32", 3), ("float32", 2)),
    *(("bfloat16", 4), ("bfloat16", 3)),
)
"""Precision of products, and words that tell histories apart (0: all)."""

LIMITS = {("LSTM", "float32", 0): 4.5, ("LSTM", "float32", 3): 15.0, ("GPT-1", "float32", 3): 8.0}
"""What is promised on any processor; bfloat16 pays where there are units for it."""

Padded = Callable[[Any, list[Any], int], np.ndarray]


def run() -> list[dict[str, Any]]:
    """Each mode as a ratio; nothing where the lists are missing."""
    if not LISTS.exists():
        return []
    lists = [list(asr_lm.read_nbest(LISTS / f"{name}.jsonl.zst")) for name in ("dev", "test")]
    lstm = asr_lm.load("default", device="cpu")
    gpt1 = asr_lm.load(GPT1, device="cpu") if GPT1 else RescoringModel.of(gpt1_tree._model(), "gpt1")
    return [
        *_measured("LSTM", lstm, prefix_tree.padded_scores, lists, rated=True),
        *_measured("GPT-1", gpt1, gpt1_tree.padded_scores, lists, rated=GPT1 is not None),
    ]


def _measured(
    name: str, column: RescoringModel, padded: Padded, lists: Sequence[list[Utterance]], rated: bool
) -> list[dict[str, Any]]:
    model = column.model
    texts = list(dict.fromkeys(h.text for utterance in lists[1][:: EVERY[name]] for h in utterance.hypotheses))
    sentences = model.encode(texts)
    # A processor without units for bfloat16 is slower with it by orders of magnitude: nothing to measure.
    quicker = resolve_precision("auto", model.network) == "bfloat16"
    every = [mode for mode in MODES if quicker or mode[0] == "float32"]
    size = min((16, 32, 64), key=lambda size: timed(lambda: padded(model, sentences[:300], size))[0])
    modes = {_called(*mode): partial(_score, column, *mode, sentences) for mode in every}
    seconds, scores = in_turn({"padded": lambda: padded(model, sentences, size), **modes})
    exact = scores[_called("float32", 0)]
    assert float(np.abs(exact - scores["padded"]).max()) < 1e-2
    theirs = statistics.median(seconds["padded"])
    return [
        {
            "name": f"{name}, {_called(*mode)}",
            "ratio": ratio(seconds, _called(*mode), "padded"),
            "against": f"padded float32 batches of {size}",
            "limit": LIMITS.get((name, *mode), 1.0 if mode[0] == "float32" else 0.0),
            "notes": f"[{len(texts)} hypotheses, {theirs:.2f} s padded{_rate(column, mode, lists) if rated else ''}]",
        }
        for mode in every
    ]


def _called(precision: Precision, words: int) -> str:
    return f"{precision}, {f'last {words} words' if words else 'all histories'}"


def _score(column: RescoringModel, precision: Precision, words: int, sentences: list[Any]) -> np.ndarray:
    column.model.compute_in(precision)
    column.recombine(words)
    return column.model.score_tokens(sentences)


def _rate(column: RescoringModel, mode: tuple[Precision, int], lists: Sequence[list[Utterance]]) -> str:
    """Word error rate of the test list in a mode, tuned in the same."""
    column.model.compute_in(mode[0])
    column.recombine(mode[1])
    column.scorer.model_changed()
    dev, test = (feature_table(some, [column], wer_normalizer="librispeech") for some in lists)
    return f"; WER {test.word_errors(apply(tune_weights(dev), test).rows).rate:.2f}"
