"""Files on a disk and in object stores, by one interface."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import pytest

from asr_lm.errors import InputError
from asr_lm.storage import Storage, is_remote


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty folder: a path, a URI that pyarrow opens, and one that fsspec opens."""
    return Storage({"path": "", "file": "file://", "memory": "memory://"}[request.param] + f"{tmp_path}/a")


def test_what_is_written_is_read(folder: Storage) -> None:
    file = folder / "one.bin"
    assert (folder.kind, file.kind) == ("nothing", "nothing")
    file.write(b"12345")
    assert (folder.kind, file.kind, file.size, file.read()) == ("folder", "file", 5, b"12345")
    file.write(b"6")
    assert pickle.loads(pickle.dumps(file)).read() == b"6"
    with file.open() as stream:
        stream.seek(1)
        assert stream.read() == b""


def test_files_come_by_their_names_without_hidden_ones(folder: Storage) -> None:
    for name in ("b", "a", "_kept", ".hidden"):
        (folder / name).write(b"x")
    (folder / "below/c").write(b"x")
    assert [file.base for file in folder.files()] == ["a", "b"]
    folder.delete()
    assert folder.kind == "nothing"
    folder.delete()


def test_packed_files_are_unpacked(folder: Storage) -> None:
    (folder / "a.gz").write(gzip.compress(b"one\ntwo\n"))
    with (folder / "a.gz").unpacked() as stream:
        assert stream.readline() == b"one\n"


def test_what_a_killed_writer_left_is_not_seen_for_long(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    (folder / "a").write(b"old")
    (tmp_path / "a.partial-0123").write_bytes(b"ne")
    assert (folder / "a").read() == b"old"
    folder.delete_partial()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_not_there_is_said(folder: Storage) -> None:
    with pytest.raises(InputError, match="no such file"):
        (folder / "none").read()
    with pytest.raises(InputError, match="cannot be opened"):
        Storage("nobody-knows://this").read()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be"):
        Storage(f"{tmp_path}/a/b").write(b"")


@pytest.mark.parametrize(
    ("name", "remote"), [("s3://bucket/x", True), ("file:///x", False), ("/x", False), ("x", False), ("C:/x", False)]
)
def test_what_is_remote(name: str, remote: bool) -> None:
    assert is_remote(name) == remote
