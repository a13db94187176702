"""Parquet and Arrow files from strangers: what they claim is looked at before it is taken for true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest

pyarrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")

READ = "import sys; from asr_lm.hypotheses.reading import read_nbest; list(read_nbest(sys.argv[1], 'parquet'))"


def table(*, length: int = 3, rows: int = 2) -> Any:
    numbers = range(rows)
    texts = [["a" * length, f"{'b' * length}{number}"] for number in numbers]
    return pyarrow.table({"id": [f"u{number}" for number in numbers], "nbest": texts, "am": [[-1.0, -2.0]] * rows})


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(content, path, compression="zstd")
        return path
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, content.schema) as writer:
        writer.write_table(content)
    return path


@pytest.mark.parametrize("offset", [2**10, 6 * 2**24, 2**31 - 1])
def test_offsets_that_lead_out_of_the_file(tmp_path: Path, offset: int) -> None:
    path = write(tmp_path / "a.arrow", table())
    whole = path.read_bytes()
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 3, 7, 10, 14))
    assert whole.count(offsets) == 1
    path.write_bytes(whole.replace(offsets, offsets[:4] + offset.to_bytes(4, "little") + offsets[8:]))
    # In a process of its own: without the check it crashes, or reads on for minutes.
    finished = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert "InputError" in finished.stderr
    assert "damaged arrow file" in finished.stderr


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_row_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = write(tmp_path / name, table(length=3000, rows=5))
    monkeypatch.setenv("ASR_LM_MAX_LINE", "5000")
    with pytest.raises(InputError, match=r"a line beyond 5,000 bytes; if it is meant so, raise \$ASR_LM_MAX_LINE") as e:
        list(read_nbest(path))
    assert e.value.file == str(path)
    monkeypatch.setenv("ASR_LM_MAX_LINE", "7000")
    assert [utterance.id for utterance in read_nbest(path)] == [f"u{number}" for number in range(5)]


def test_columns_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", table(length=20_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setenv("ASR_LM_MAX_FILE", "10000")
    with pytest.raises(InputError, match=r"beyond 10,000 bytes; if it is meant so, raise \$ASR_LM_MAX_FILE") as error:
        list(read_nbest(path))
    assert error.value.file == str(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_rows_are_the_same_however_many_are_taken_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = write(tmp_path / name, table(rows=3000))
    whole = list(read_nbest(path))
    assert len(whole) == 3000
    monkeypatch.setenv("ASR_LM_MAX_LINE", "200")
    assert list(read_nbest(path)) == whole
