"""``make bench`` writes its table itself: lines of what ran are replaced, others of the same machine stay."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.benchmarks import __main__, _machine, _table
from tests.benchmarks._turns import in_turn, ratio

TEXT = f"before\n\n{_table.BEGIN}\n{_table.END}\n\nafter\n"


def result(name: str, times: float) -> dict[str, object]:
    return {"name": name, "ratio": times, "against": "the | other", "limit": 1.0, "notes": "[some notes]"}


def test_lines_of_what_ran_are_replaced_and_others_stay() -> None:
    both = _table.updated(TEXT, {"one": [result("a", 2.0), result("b", 3.0)], "two": [result("c", 4.0)]}, "here")
    again = _table.updated(both, {"one": [result("a", 5.0)]}, "here")
    assert "Measured on here." in again
    lines = [line for line in again.splitlines() if line.startswith(("| one", "| two"))]
    assert [line.split(" | ")[1:3] for line in lines] == [["a", "5.00"], ["c", "4.00"]]
    assert again.startswith("before\n\n")
    assert again.endswith("\n\nafter\n")
    assert _table.updated(again, {}, "here") == again


def test_lines_of_another_machine_go() -> None:
    both = _table.updated(TEXT, {"one": [result("a", 2.0)], "two": [result("c", 4.0)]}, "here")
    there = _table.updated(both, {"one": [result("a", 1.0)]}, "there")
    assert "| two |" not in there
    assert "here" not in there.replace("there", "").replace("from here", "").replace("to here", "")


def test_a_readme_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="marks are missing"):
        _table.updated("nothing", {}, "here")


def test_the_readme_has_the_marks() -> None:
    text = (Path(__file__).parent / "benchmarks" / "README.md").read_text()
    assert text.index(_table.BEGIN) < text.index(_table.END)


def test_sides_take_turns() -> None:
    order: list[str] = []
    seconds, results = in_turn({"ours": lambda: order.append("ours") or 1, "theirs": lambda: order.append("theirs")}, 3)
    assert order == ["ours", "theirs"] * 3
    assert results == {"ours": 1, "theirs": None}
    assert [len(found) for found in seconds.values()] == [3, 3]
    assert ratio({"a": [1.0, 2.0, 1.0], "b": [2.0, 2.0, 3.0]}, "a", "b") == 2.0


def test_the_machine_is_said_in_a_line() -> None:
    said = _machine.describe()
    assert "\n" not in said
    assert "cores" in said
    assert "torch" in said


def test_every_benchmark_can_be_run_among_all() -> None:
    names = __main__.benchmarks()
    assert "growth" not in names  # takes Ray, and the numbers of utterances
    for name in names:
        assert callable(__main__._module(name).run)


def test_figures_are_kept_when_a_later_benchmark_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(__main__.FOLDER / "README.md", tmp_path)
    monkeypatch.setattr(__main__, "FOLDER", tmp_path)
    monkeypatch.setattr(__main__, "benchmarks", lambda: ["first", "second"])
    good = {"name": "n", "ratio": 2.0, "against": "a", "limit": 1.0}

    def ran(name: str) -> list[dict[str, object]]:
        if name == "second":
            raise OSError("it fails")
        return [good]

    monkeypatch.setattr(__main__, "_run", ran)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "first", "second"])
    with pytest.raises(OSError, match="it fails"):
        __main__.main()
    assert json.loads(Path("bench.json").read_text())["results"] == {"first": [good]}
    assert "| first | n | 2.00 |" in Path("README.md").read_text()
