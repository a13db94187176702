"""A bare ``rescore`` on lists of real recognisers: the kind of their scores is told, and nothing gets worse."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from asr_lm.evaluation.comparison import Comparison
from asr_lm.evaluation.roles import FIRST_PASS, RESCORED
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.rescoring.default_model import score_kind
from asr_lm.rescoring.scoring.models import open_models
from asr_lm.rescoring.second_pass import Rescored, rescore
from asr_lm.rescoring.settings import Measuring

NBEST = Path(__file__).parents[2] / "../shared/data/nbest"

pytestmark = pytest.mark.skipif(not NBEST.exists(), reason="the shared lists are not here")

KINDS = {
    "librispeech-ctc/dev.jsonl.zst": "sum",
    "librispeech-ctc/test.jsonl.zst": "sum",
    "swbd-ws97/dev/easy": "sum",
    "swbd-ws97/test": "sum",
    "hyporadise/atis.train.json": "mean",
    "hyporadise/atis.test.json": "mean",
    "hyporadise/wsj.json": "mean",
    "hyporadise/librispeech-clean.json": "rank",
    "hyporadise/chime4.json": "rank",
    "hyporadise/swbd.json": "rank",
    "hyporadise/commonvoice.json": "rank",
}

TOLERANCE = 0.05
"""Percentage points that a word or two make up on these lists."""


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_kind_of_score(name: str, kind: str) -> None:
    assert score_kind(list(read_nbest(NBEST / name))) == kind


def bare(name: str, utterances: int | None = None) -> Comparison:
    """The comparison that ``rescore --nbest LIST`` makes, of the first utterances."""
    lists = islice(read_nbest(NBEST / name), utterances)
    parts = rescore(lists, open_models(["default"]), measuring=Measuring(normalizer="librispeech"))
    return Rescored.concatenate([part.light() for part in parts]).comparison()


@pytest.mark.parametrize("name", ["hyporadise/wsj.json", "hyporadise/atis.test.json"])
def test_strong_recognisers_are_left_alone(name: str) -> None:
    comparison = bare(name)
    assert comparison[RESCORED].counts.rate <= comparison[FIRST_PASS].counts.rate + TOLERANCE


def test_a_weak_recogniser_is_helped() -> None:
    comparison = bare("librispeech-ctc/test.jsonl.zst", 60)
    assert comparison[RESCORED].counts.rate < comparison[FIRST_PASS].counts.rate - 0.5
