"""First-pass and oracle error rates of real lists, as the notes beside the lists give them."""

import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard

from asr_lm.evaluation.comparison import compare
from asr_lm.evaluation.matched_pairs import compare_positions, error_positions
from asr_lm.evaluation.word_errors import ErrorCounts, count_errors

NBEST = Path(__file__).parents[2] / "../shared/data/nbest"

pytestmark = pytest.mark.skipif(not NBEST.is_dir(), reason="the shared lists are not here")


def matched_pairs_test(references, first, second, unit="word"):
    return compare_positions(error_positions(references, first, unit), error_positions(references, second, unit))


def json_lines(path):
    with open(path, "rb") as packed:
        yield from map(json.loads, io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8"))


def canonical(path):
    for utterance in json_lines(path):
        yield utterance["reference"], [hypothesis["text"] for hypothesis in utterance["hypotheses"]]


def hyporadise(path):
    for utterance in json.loads(path.read_text("utf-8")):
        yield utterance["output"].lower(), [text.lower() for text in utterance["input"]]


LISTS = [
    (canonical, "librispeech-ctc/test.jsonl.zst", 13.21, 9.48),
    (hyporadise, "hyporadise/atis.test.json", 8.40, 5.31),
    (hyporadise, "hyporadise/wsj.json", 6.03, 4.56),
    (hyporadise, "hyporadise/librispeech-clean.json", 1.79, 0.89),
]


@pytest.mark.parametrize(("read", "name", "first", "best"), LISTS, ids=[row[1] for row in LISTS])
def test_first_pass_and_oracle(read, name, first, best):
    references, lists = zip(*read(NBEST / name), strict=True)
    offsets = np.cumsum([0, *map(len, lists)])
    texts = [text for hypotheses in lists for text in hypotheses]
    repeated = [reference for reference, hypotheses in zip(references, lists, strict=True) for _ in hypotheses]
    counts = count_errors(repeated, texts)
    errors = counts[:, :3].sum(1)
    rows = np.array([begin + errors[begin:end].argmin() for begin, end in pairwise(offsets.tolist())])
    assert round(ErrorCounts.from_counts(counts[offsets[:-1]]).rate, 2) == first
    assert round(ErrorCounts.from_counts(counts[rows]).rate, 2) == best
    chosen = {"first_pass": [hypotheses[0] for hypotheses in lists], "oracle": [texts[row] for row in rows]}
    result = compare(references, chosen, resamples=200)
    assert result["oracle"].counts == ErrorCounts.from_counts(counts[rows])
    assert result["first_pass"].interval.low < first < result["first_pass"].interval.high


# Number of segments and Z statistic of `sc_stats -t mapsswe -v` (SCTK 2.4.10) on sclite's alignments of these texts.
SC_STATS = [(None, 0.55, 874, 8.410), (None, 0.8, 883, 9.131), (0.55, 0.8, 808, 2.974)]


@pytest.mark.parametrize(("first", "second", "segments", "z"), SC_STATS)
def test_matched_pairs_as_in_sctk(first, second, segments, z):
    utterances = list(json_lines(NBEST / "librispeech-ctc/test.jsonl.zst"))

    def chosen(weight):
        if weight is None:
            return [utterance["hypotheses"][0]["text"] for utterance in utterances]
        return [max(utterance["hypotheses"], key=score(weight))["text"] for utterance in utterances]

    def score(weight):
        return lambda hypothesis: hypothesis["scores"]["acoustic"] + weight * hypothesis["scores"]["lm"]

    references = [utterance["reference"] for utterance in utterances]
    result = matched_pairs_test(references, chosen(first), chosen(second))
    assert result.segments == segments
    assert -result.z == pytest.approx(z, abs=5e-4)
