"""The leaderboard over a part of the packaged sample: rows, halves, published figures, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from miniature import ROOT, call

from asr_lm.evaluation.roles import COMPOSITIONAL_ORACLE, FIRST_PASS, ORACLE, RETUNED
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import write_nbest
from data import leaderboard
from data.leaderboard_lists import read_board
from data.leaderboard_measuring import CHOSEN, UNTUNED, _crossed
from pipelines.display import Terminal

BOARD = """
[[list]]
name = "two lists"
about = "letter CTC"
dev = "dev.json"
test = "test.json"
models = ["ngram=missing"]

[[list.published]]
name = "theirs"
wer = 12.5
source = "Somebody 2023"

[[list.published]]
name = "others"
change = -4.4
source = "Others 2024"

[[list]]
name = "one list"
about = "letter CTC"
test = "test.json"

[[list]]
name = "elsewhere"
about = "not here"
test = "none.json"
"""


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and messages on one line."""
    code = call("data.leaderboard", *arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for part in ("dev", "test"):
        utterances = list(read_nbest(str(ROOT / f"data/sample/{part}.json")))[:16]
        write_nbest(f"{part}.json", [Utterance(u.id, u.hypotheses[:4], u.reference) for u in utterances])
    Path("board.toml").write_text(BOARD)
    return tmp_path


class TestTable:
    @pytest.fixture
    def figures(self, folder: Path, capsys: Any) -> tuple[list[Any], str, str]:
        arguments = ("--data", ".", "--board", "board.toml", "--out", "table.md", "--json", "table.json")
        code, out, err = called(capsys, *arguments)
        assert code == 0, err
        assert Path("table.md").read_text().strip() in out
        return json.loads(Path("table.json").read_text()), out, err

    def test_rows(self, figures: tuple[list[Any], str, str]) -> None:
        (two, one), out, err = figures
        assert [two["name"], one["name"]] == ["two lists", "one list"]
        for found in (two, one):
            for form in ("raw", "normalized"):
                roles = {name: found[form][name]["wer"] for name in (FIRST_PASS, RETUNED, ORACLE, COMPOSITIONAL_ORACLE)}
                assert roles[COMPOSITIONAL_ORACLE] <= roles[ORACLE] <= roles[FIRST_PASS]
                assert list(found[form]["systems"]) == [UNTUNED, "default", CHOSEN]
                assert found[form]["with_reference"] == 16
        assert "| theirs (Somebody 2023) | 12.50 |  |  |  |  |  |" in out
        assert "| others (Others 2024) | -4.4 % of its first pass |  |  |  |  |  |" in out
        assert "no model runs/missing; its rows are left out" in err
        assert "elsewhere: no list none.json; left out" in err
        for name in (FIRST_PASS, ORACLE, COMPOSITIONAL_ORACLE):  # halves make the whole list
            assert one["raw"][name]["wer"] == two["raw"][name]["wer"]


class TestHalves:
    def test_each_utterance_is_reported_once_and_never_tuned_on(self) -> None:
        utterances = [Utterance(f"u{number}", (), "a", None) for number in range(50)]
        reported = []
        for dev, test in _crossed(utterances):
            assert not {one.id for one in dev} & {one.id for one in test}
            assert dev
            reported += [one.id for one in test]
        assert sorted(reported) == sorted(one.id for one in utterances)

    def test_a_recording_is_in_one_half(self) -> None:
        utterances = [Utterance(f"u{number}", (), "a", f"r{number // 10}") for number in range(50)]
        first, second = _crossed(utterances)[0]
        assert not {one.recording for one in first} & {one.recording for one in second}


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[[list]]\nname = 'a'\nabout = 'b'\n", "test"),
            ("[[list]]\nname = 'a'\nabout = 'b'\ntest = 'c'\ncolour = 'red'\n", "colour"),
            (
                "[[list]]\nname = 'a'\nabout = 'b'\ntest = 'c'\n[[list.published]]\nname = 'd'\nsource = 'e'\n",
                "either wer or change",
            ),
            ("[[other]]\n", "other"),
            ("[[", "expected tables"),
            ("list = " + "9" * 5_000, "expected tables"),
        ],
    )
    def test_board(self, text: str, said: str, folder: Path, capsys: Any) -> None:
        Path("board.toml").write_text(text)
        code, _, err = called(capsys, "--data", ".", "--board", "board.toml")
        assert code == 2
        assert "board.toml" in err
        assert said in err

    def test_nothing_is_there(self, folder: Path, capsys: Any) -> None:
        for part in ("dev.json", "test.json"):
            Path(part).unlink()
        code, _, err = called(capsys, "--data", "elsewhere", "--board", "board.toml")
        assert code == 2
        assert "none of the lists" in err

    def test_no_such_list(self, folder: Path, capsys: Any) -> None:
        code, _, err = called(capsys, "--data", ".", "--board", "board.toml", "--only", "three lists")
        assert code == 2
        assert "'three lists'" in err


def test_a_list_may_lie_beside_the_board(folder: Path) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/test.json").symlink_to(folder / "test.json")
    options = leaderboard.Options(data=Path("elsewhere"), board=folder / "board.toml")
    found = {listed.name: where for listed, where in leaderboard._present(options, Terminal())}
    # One folder for a list and its development list; what lies in --data goes first.
    assert found == {"two lists": folder, "one list": Path("elsewhere")}


def test_the_packaged_sample_is_always_there(tmp_path: Path) -> None:
    options = leaderboard.Options(data=tmp_path, only=("packaged sample",))
    assert [listed.name for listed, _ in leaderboard._present(options, Terminal())] == ["packaged sample"]


def test_the_boards_file_is_read() -> None:
    assert [listed.name for listed in read_board(leaderboard.BOARD)][:2] == ["LibriSpeech CTC", "ATIS"]
