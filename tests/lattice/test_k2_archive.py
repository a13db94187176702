"""What torch is given to read, and what it never sees."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torchscript import write_archive

from asr_lm.errors import InputError
from asr_lm.lattice.k2_archive import check_arcs_of_machines, saved_objects
from asr_lm.lattice.reading import read_lattices


@pytest.fixture
def _torch_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("torch was given the file")

    monkeypatch.setattr(torch, "load", refused)
    monkeypatch.setattr(torch.jit, "load", refused)


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_tensors_come_out_as_they_went_in(tmp_path: Path) -> None:
    content = {"arcs": torch.arange(8).reshape(2, 4), "other": torch.ones(3, dtype=torch.float64), "said": "hello"}
    torch.save(content, tmp_path / "u.pt")
    again = torch.load(saved_objects(tmp_path / "u.pt"), weights_only=True)
    assert again.keys() == content.keys()
    assert again["said"] == "hello"
    assert all(torch.equal(again[name], content[name]) for name in ("arcs", "other"))  # type: ignore[arg-type]


class TestPrograms:
    def test_the_archive_of_this_test_runs_where_it_is_loaded(self, tmp_path: Path) -> None:
        write_archive(tmp_path / "u.pt", tmp_path / "mark")
        torch.jit.load(tmp_path / "u.pt")
        assert (tmp_path / "mark").exists()

    @pytest.mark.usefixtures("_torch_reads_nothing")
    @pytest.mark.parametrize("trust", [False, True])
    def test_none_is_run(self, tmp_path: Path, trust: bool) -> None:
        write_archive(tmp_path / "u.pt", tmp_path / "mark")
        (error,) = read_lattices(tmp_path / "u.pt", trust=trust)
        assert isinstance(error, InputError)
        assert error.message.startswith("a TorchScript archive")
        assert error.file == str(tmp_path / "u.pt")
        assert not (tmp_path / "mark").exists()

    @pytest.mark.usefixtures("_torch_reads_nothing")
    @pytest.mark.parametrize(
        "name", ["a/constants.pkl", "a/CONSTANTS.PKL", "a/code/x.py", "a/code/", "b/constants.pkl"]
    )
    def test_however_it_is_called(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "u.pt").write_bytes(packed({"a/data.pkl": b"", name: b""}))
        with pytest.raises(InputError, match="TorchScript"):
            saved_objects(tmp_path / "u.pt")


@pytest.mark.usefixtures("_torch_reads_nothing")
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"PK\x03\x04 nothing", id="no zip"),
        pytest.param(packed({"a/data.pkl": b"x"})[:-10], id="cut off"),
        pytest.param(packed({"a/data.pkl": b"x" * 99}).replace(b"x" * 50, b"y" * 50), id="another checksum"),
        pytest.param(packed({"a/data.pkl": b"", "a/other": b""}), id="a member of another kind"),
        pytest.param(packed({"a/data.pkl": b"", "b/data.pkl": b""}), id="two archives in one"),
        pytest.param(packed({"data.pkl": b""}), id="no folder"),
        pytest.param(packed({"a/data.pkl": b"\0" * 10**6}, zipfile.ZIP_DEFLATED), id="a bomb"),
    ],
)
def test_what_torch_did_not_write_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "u.pt").write_bytes(content)
    (error,) = read_lattices(tmp_path / "u.pt")
    assert isinstance(error, InputError)
    assert "damaged, or not written by torch" in str(error)


MACHINE = ((0, 1, 1, 0), (1, 2, 2, 0), (2, 3, -1, 0))
ROW = (2, 0, 0, 4, 8, 0, 3, 6, *sum(MACHINE + MACHINE, ()))


class TestMachines:
    """k2 dies of arcs that are none."""

    def test_whole_ones(self) -> None:
        check_arcs_of_machines(torch.tensor(MACHINE, dtype=torch.int32))
        check_arcs_of_machines(torch.tensor(ROW, dtype=torch.int32))

    @pytest.mark.parametrize("place", [*range(12)])
    @pytest.mark.parametrize("value", [-(2**31), -2, 99, 2**31 - 1])
    def test_one_number_wrong(self, place: int, value: int) -> None:
        arcs = torch.tensor(MACHINE, dtype=torch.int32)
        if place % 4 == 3 or (place in (2, 6) and value > 0):
            pytest.skip("a score or a word may be any number")
        arcs.view(-1)[place] = value
        with pytest.raises(InputError, match="no k2 machine"):
            check_arcs_of_machines(arcs)

    @pytest.mark.parametrize("place", [0, *range(2, 8)])
    @pytest.mark.parametrize("value", [-1, 1, 7, 2**31 - 1])
    def test_machines_in_a_row(self, place: int, value: int) -> None:
        arcs = torch.tensor(ROW, dtype=torch.int32)
        arcs[place] = value
        with pytest.raises(InputError, match="no k2 machine"):
            check_arcs_of_machines(arcs)
