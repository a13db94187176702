"""The second pass as a stage: columns in, columns out, whatever the batches and processes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest

import asr_lm
from asr_lm.errors import InputError
from asr_lm.rescoring.stage import ERROR, ScoreBatches

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> str:
    from pipelines.train import main

    out = tmp_path_factory.mktemp("stage") / "bigram"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train", "ngram", "--text", str(SAMPLE / "train.txt"), "--out", str(out)])
        main()
    return str(out)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    utterances = asr_lm.read_nbest(SAMPLE / "test.json")[:30]
    return pa.Table.from_pylist([msgspec.to_builtins(utterance) for utterance in utterances])


def score(bigram: str) -> ScoreBatches:
    return ScoreBatches([bigram], score_kind="sum")


def in_batches(stage: ScoreBatches, table: pa.Table, size: int) -> pa.Table:
    return pa.concat_tables(stage(table.slice(begin, size)) for begin in range(0, len(table), size))


def test_it_gives_what_a_rescorer_gives(bigram: str, table: pa.Table) -> None:
    found = score(bigram)(table)
    rescorer = asr_lm.Rescorer(bigram, score_kind="sum")
    expected = rescorer(asr_lm.read_nbest(SAMPLE / "test.json")[:30])
    assert found["hypotheses"].to_pylist() == [list(msgspec.to_builtins(u.hypotheses)) for u in expected]
    assert found["id"].to_pylist() == table["id"].to_pylist()
    assert found[ERROR].null_count == len(table)


@pytest.mark.parametrize("size", [1, 7, 29])
def test_batches_change_nothing(bigram: str, table: pa.Table, size: int) -> None:
    stage = score(bigram)
    assert in_batches(stage, table, size).equals(stage(table))


def test_a_pickled_stage_is_the_same(bigram: str, table: pa.Table) -> None:
    stage = score(bigram)
    expected = stage(table)
    again = pickle.dumps(stage)
    assert len(again) < 2_000
    assert pickle.loads(again)(table).equals(expected)


def test_columns_by_name_are_a_table(bigram: str, table: pa.Table) -> None:
    columns = {name: table[name].to_pylist() for name in table.column_names}
    assert score(bigram)(columns).equals(score(bigram)(table))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"hypotheses": []}, "no hypotheses"),
        ({"hypotheses": None}, "hypotheses"),
        ({"id": " "}, "empty, expected an id"),
        ({"hypotheses": [{"text": "a", "scores": {"acoustic": float("nan")}}]}, "nan is not a finite number"),
        ({"hypotheses": [{"text": None, "scores": {"acoustic": -1.0}}]}, "missing required field `text`"),
    ],
)
def test_a_bad_row_says_why_and_spoils_no_other(
    bigram: str, table: pa.Table, damage: dict[str, Any], reason: str
) -> None:
    rows = table.to_pylist()
    rows[11] |= damage
    expected, found = score(bigram)(table).to_pylist(), score(bigram)(pa.Table.from_pylist(rows, table.schema))
    assert reason in found[ERROR].to_pylist()[11]
    assert found["hypotheses"].to_pylist()[11] is None
    assert found.to_pylist()[:11] + found.to_pylist()[12:] == expected[:11] + expected[12:]


def test_a_missing_column_is_named(bigram: str) -> None:
    with pytest.raises(InputError, match="hypotheses: no such column, the batch has id"):
        score(bigram)(pa.table({"id": ["a"]}))


def test_ray_data_runs_it(bigram: str, table: pa.Table, tmp_path: Path) -> None:
    data = pytest.importorskip("ray.data")
    import ray

    pyarrow.parquet.write_table(table, tmp_path / "lists.parquet", row_group_size=10)
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=80 * 2**20, logging_level="ERROR")
    try:
        given = {"models": [bigram], "score_kind": "sum"}
        how: dict[str, Any] = {"fn_constructor_kwargs": given, "batch_format": "pyarrow", "batch_size": 8}
        rows = data.read_parquet(str(tmp_path / "lists.parquet")).map_batches(ScoreBatches, concurrency=2, **how)
        rows.write_parquet(str(tmp_path / "out"))
    finally:
        ray.shutdown()
    found = {row["id"]: row for row in pyarrow.parquet.read_table(tmp_path / "out").to_pylist()}
    assert found == {row["id"]: row for row in score(bigram)(table).to_pylist()}
