from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asr_lm.errors import InputError
from asr_lm.rescoring.weights import Weights

WEIGHTS = Weights(
    values={"acoustic": 1.0, "lm": 0.1 + 0.2, "words": -1e-17},
    scale=0.7,
    decision="mbr",
    mass=0.95,
    fingerprints={"list": "12ab"},
    dev={"wer": 11.81},
)


def test_saved_and_loaded_to_the_last_bit(tmp_path: Path) -> None:
    WEIGHTS.save(tmp_path / "weights.json")
    assert Weights.load(tmp_path / "weights.json") == WEIGHTS
    record = json.loads((tmp_path / "weights.json").read_text())
    assert record["format"] == "asr_lm weights"
    assert record["version"] == 1
    assert record["values"] == WEIGHTS.values


def test_totals_are_the_weighted_sum(build) -> None:
    table = build([2, 1], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 0, {"lm": "model", "acoustic": "first-pass"})
    assert Weights(values={"acoustic": 2.0, "lm": -1.0}).totals(table).tolist() == [3.0, 5.0, 7.0]


def test_equal_hypotheses_have_equal_totals_wherever_they_stand(build) -> None:
    generator = np.random.default_rng(0)
    values = np.repeat(generator.standard_normal((1, 7)) * 1e3, 1001, axis=0)
    table = build([1001], values, 0)
    weights = Weights(values=dict(zip(table.names, generator.standard_normal(7).tolist(), strict=True)))
    assert len(np.unique(weights.totals(table))) == 1


def test_features_that_do_not_fit_are_both_listed(build) -> None:
    table = build([1], [[0.0, 0.0]], 0, {"score": "first-pass", "words": "length"})
    with pytest.raises(
        InputError, match=r"need 'acoustic', 'lm', .* for acoustic, lm, words; the list has score, word"
    ):
        WEIGHTS.totals(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, r"weights.json: weights of version 2, this release reads version 1"),
        (
            {"format": "something else"},
            r"weights.json: no file of tuned weights, or a damaged one",
        ),
        ({"values": {"lm": "1"}}, r"no file of tuned weights, or a damaged one .*values"),
        ({"values": {}}, r"field values: no weights"),
        ({"scale": 0}, r"field scale: 0.0, a positive number was expected"),
        ({"mass": 1.5}, r"field mass: 1.5, a number above 0 and up to 1"),
        ({"decision": "worst"}, r"field decision: 'worst', expected one of best, mbr, rover"),
    ],
)
def test_impossible_files_are_refused(change: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    WEIGHTS.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        Weights.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}', "\x00\x01"])
def test_damaged_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(InputError, match=r"weights.json: no file of tuned weights, or a damaged one"):
        Weights.load(tmp_path / "weights.json")


def test_infinite_weights_are_refused(tmp_path: Path) -> None:
    WEIGHTS.save(tmp_path / "weights.json")
    text = (tmp_path / "weights.json").read_text().replace("1.0", "1e999", 1)
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(InputError, match=r"weights.json"):
        Weights.load(tmp_path / "weights.json")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights.json: no such file"):
        Weights.load(tmp_path / "weights.json")
