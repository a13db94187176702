from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.features.shards import read_shard, shard_path, write_shard
from asr_lm.rescoring.features.table import FeatureTable


@pytest.fixture
def table() -> FeatureTable:
    utterances = [
        Utterance(
            id=f"u{number}",
            recording=None if number % 2 else f"r{number}",
            reference=None if number == 3 else "ein Süßes wort",
            hypotheses=tuple(
                Hypothesis(text=f"wort nan {rank} Ü" if rank else "", scores={"score": -rank / 3})
                for rank in range(number + 1)
            ),
        )
        for number in range(6)
    ]
    return FeatureTable.from_utterances(utterances, {"book": np.linspace(-1, 0, 21)}, {"book": np.arange(21)})


def same(one: FeatureTable, other: FeatureTable) -> None:
    for field in ("utterances", "recordings", "columns", "texts"):
        assert getattr(one, field) == getattr(other, field)
    for field in ("offsets", "values", "errors", "reference_words"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype


def test_written_and_read_back(table: FeatureTable, tmp_path: Path) -> None:
    write_shard(table, tmp_path / "new", 0)
    same(read_shard(tmp_path / "new", 0), table)


def test_shards_together_are_the_table(table: FeatureTable, tmp_path: Path) -> None:
    for number, chosen in enumerate(([0, 1], [2], [3, 4, 5])):
        write_shard(table.select_utterances(chosen), tmp_path, number)
    same(FeatureTable.concatenate([read_shard(tmp_path, number) for number in range(3)]), table)


def test_other_tools_find_nulls_where_there_is_no_reference(table: FeatureTable, tmp_path: Path) -> None:
    write_shard(table, tmp_path, 0)
    data = parquet.read_table(shard_path(tmp_path, 0))
    assert data.column_names[:4] == ["utterance", "recording", "reference_words", "text"]
    assert data["substitutions"].null_count == data["reference_words"].null_count == 4
    assert data["feature.score"].to_pylist() == table.column("score").tolist()


def test_a_missing_shard_is_named(table: FeatureTable, tmp_path: Path) -> None:
    write_shard(table, tmp_path, 1)
    with pytest.raises(InputError, match=r"shard-00000.parquet: no such shard"):
        read_shard(tmp_path, 0)


@pytest.mark.parametrize("cut", [0, 10, 500, -1])
def test_a_damaged_shard_is_named(table: FeatureTable, tmp_path: Path, cut: int) -> None:
    write_shard(table, tmp_path, 0)
    path = shard_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"shard-00000.parquet: damaged feature table"):
        read_shard(tmp_path, 0)


def test_a_parquet_file_of_something_else_is_refused(table: FeatureTable, tmp_path: Path) -> None:
    write_shard(table, tmp_path, 0)
    path = shard_path(tmp_path, 0)
    data = parquet.read_table(path)
    parquet.write_table(data.replace_schema_metadata({}), path)
    with pytest.raises(InputError, match="damaged feature table, or none"):
        read_shard(tmp_path, 0)
    metadata = {name: text.replace(b'"version":1', b'"version":9') for name, text in data.schema.metadata.items()}
    parquet.write_table(data.replace_schema_metadata(metadata), path)
    with pytest.raises(InputError, match="version 9, expected 1"):
        read_shard(tmp_path, 0)
