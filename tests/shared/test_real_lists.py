"""Lists that recognisers and other tools wrote: every format read, counted and measured against what is known of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jiwer
import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.formats import recognise
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import write_nbest

NBEST = Path(__file__).parents[2] / "../shared/data/nbest"

pytestmark = pytest.mark.skipif(not NBEST.exists(), reason="the shared lists are not here")

LISTS = [
    ("librispeech-ctc/dev.jsonl.zst", "canonical", 269, ["acoustic", "lm"], 11.93),
    ("librispeech-ctc/test.jsonl.zst", "canonical", 306, ["acoustic", "lm"], 13.21),
    ("hyporadise/atis.train.json", "hyporadise", 3964, ["am_score"], 7.66),
    ("hyporadise/atis.test.json", "hyporadise", 809, ["am_score"], 8.40),
    ("hyporadise/wsj.json", "hyporadise", 836, ["score"], 6.03),
    ("hyporadise/librispeech-clean.json", "hyporadise", 2620, [], 1.79),
    ("hyporadise/chime4.json", "hyporadise", 1320, [], 12.69),
    ("hyporadise/swbd.json", "hyporadise", 1000, [], None),
    ("hyporadise/commonvoice.json", "hyporadise", 1000, [], None),
    ("mlm-scoring/dev-clean.am.pppl.json", "mlm-scoring", 3, ["score"], None),
    ("mlm-scoring/dev-clean.am.rescored.json", "mlm-scoring", 3, ["score"], None),
    ("mlm-scoring/test-clean.am.pppl.json", "mlm-scoring", 3, ["score"], None),
    ("swbd-ws97/dev/easy", "switchboard-ws97", 40, ["acoustic"], None),
    ("swbd-ws97/dev/unrestricted", "switchboard-ws97", 40, ["acoustic"], None),
    ("swbd-ws97/test", "switchboard-ws97", 212, ["acoustic"], None),
]


def error_rate(utterances: list[Utterance], rank: int = 0) -> float:
    references = [str(utterance.reference).lower() for utterance in utterances]
    return 100 * jiwer.wer(references, [utterance.hypotheses[rank].text.lower() for utterance in utterances])


@pytest.mark.parametrize(("name", "format", "number", "scores", "first"), LISTS, ids=[entry[0] for entry in LISTS])
def test_a_list_is_recognised_and_read_whole(
    tmp_path: Path, name: str, format: str, number: int, scores: list[str], first: float | None
) -> None:
    assert recognise(NBEST / name) == format
    utterances = list(read_nbest(NBEST / name))
    assert len(utterances) == number
    assert {tuple(hypothesis.scores) for utterance in utterances for hypothesis in utterance.hypotheses} == {
        tuple(scores)
    }
    assert all(utterance.reference for utterance in utterances)
    if first is not None:
        assert error_rate(utterances) == pytest.approx(first, abs=0.01)
    write_nbest(tmp_path / "copy.jsonl.zst", utterances)
    assert list(read_nbest(tmp_path / "copy.jsonl.zst")) == utterances


def test_the_empty_dictionary_of_mlm_scoring_is_refused() -> None:
    with pytest.raises(InputError, match="empty list"):
        list(read_nbest(NBEST / "mlm-scoring/dev-other.am.pppl.json"))


def test_mlm_scoring_hypotheses_come_by_number() -> None:
    path = NBEST / "mlm-scoring/dev-clean.am.pppl.json"
    raw = json.loads(path.read_text())
    for utterance in read_nbest(path):
        assert len(utterance.hypotheses) == 100
        for number in (1, 2, 10, 100):
            hypothesis = raw[utterance.id][f"hyp_{number}"]
            assert utterance.hypotheses[number - 1].text == hypothesis["text"]
            assert utterance.hypotheses[number - 1].scores == {"score": hypothesis["score"]}


@pytest.mark.parametrize("name", ["atis.train", "atis.test", "wsj"])
def test_hyporadise_scores_are_log_probabilities_of_the_hypotheses_beside_them(name: str) -> None:
    utterances = list(read_nbest(NBEST / f"hyporadise/{name}.json"))
    columns = [[next(iter(hypothesis.scores.values())) for hypothesis in u.hypotheses] for u in utterances]
    assert all(column == sorted(column, reverse=True) and column[0] < 0 for column in columns)
    # The better score stands with the better text: the word error rate grows along the list.
    rates = [error_rate(utterances, rank) for rank in range(5)]
    assert rates == sorted(rates)


def test_switchboard_scores_are_natural_logarithms() -> None:
    (utterance,) = read_nbest(NBEST / "swbd-ws97/dev/easy/easy026")
    assert utterance.reference == "i think i can agree with that too"
    best = utterance.hypotheses[0]
    assert best.text == "i think i can agree on that too"
    assert best.scores["acoustic"] == pytest.approx(-2404.04546114896 * math.log(2))


@pytest.mark.parametrize(
    ("folder", "low", "high"), [("dev/easy", 28, 31), ("test/easy", 28, 31), ("dev/unrestricted", 49, 55)]
)
def test_switchboard_hypotheses_are_ranked_by_acoustic_score(folder: str, low: float, high: float) -> None:
    utterances = list(read_nbest(NBEST / "swbd-ws97" / folder))
    assert {len(utterance.hypotheses) for utterance in utterances} == {9}
    for utterance in utterances:
        scores = [hypothesis.scores["acoustic"] for hypothesis in utterance.hypotheses]
        assert scores == sorted(scores, reverse=True)
    assert low < error_rate(utterances) < high
