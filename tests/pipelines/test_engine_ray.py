"""``rescore --engine ray``: whoever does the work, the result is that of one process. Here this process does it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from toy_language import Command, Finished, Toy

from asr_lm.errors import InputError
from asr_lm.hypotheses.reading import read_nbest
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.writing import write_nbest
from asr_lm.rescoring.cluster import cutting, list_files, rescoring
from asr_lm.rescoring.cluster.engine import Ray, ThisProcess
from asr_lm.rescoring.scoring import scorer
from asr_lm.storage import Storage

Line = tuple[object, ...]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "SHARD_HYPOTHESES", 40)
    monkeypatch.setattr(list_files, "SCANNED", 3_000)
    monkeypatch.setattr(Ray, "connected", lambda *arguments, **options: ThisProcess())


@pytest.fixture
def lines(toy: Toy) -> list[bytes]:
    """The toy's test list as JSON Lines."""
    return [msgspec.json.encode(utterance) + b"\n" for utterance in read_nbest(toy.test)]


@pytest.fixture
def line(toy: Toy, ngram: Path, lstm: Path) -> Line:
    """A command with weights tuned on the development list, and two models."""
    return ("rescore", "--dev", toy.dev, "--lm", ngram, "--lm", lstm, "--no-cache", "--json", "result.json")


def written(path: str, lines: list[bytes]) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(b"".join(lines))
    return Path(path)


def both(command: Command, line: Line, one: object, other: object, out: str = "out.jsonl") -> tuple[Finished, Finished]:
    """One process on one form of a list, the engine on another; results and figures must be the same."""
    alone = command(*line, "--nbest", one, "--out", out)
    expected, figures = Path(out).read_bytes(), Path("result.json").read_bytes()
    Path(out).unlink()
    together = command(*line, "--nbest", other, "--out", out, "--engine", "ray")
    assert (alone.code, together.code) == (0, 0), (alone.err, together.err)
    assert Path(out).read_bytes() == expected
    assert Path("result.json").read_bytes() == figures
    assert not Path(out + ".unfinished").exists()
    return alone, together


def test_a_file_of_lines(command: Command, line: Line, lines: list[bytes]) -> None:
    path = written("list.jsonl", lines)
    alone, together = both(command, line, path, path)
    assert together.out.partition("rescored in")[0] == alone.out.partition("rescored in")[0]
    assert len(list(list_files.ListFiles.of(str(path)).stretches())) > 3


def test_a_packed_file(command: Command, line: Line, lines: list[bytes]) -> None:
    path = written("list.jsonl.gz", [gzip.compress(b"".join(lines))])
    both(command, line, path, path)


def test_a_folder_of_files(command: Command, line: Line, lines: list[bytes]) -> None:
    for number in range(3):
        written(f"lists/{number}.jsonl", lines[number * 13 : (number + 1) * 13 if number < 2 else None])
    both(command, line, written("list.jsonl", lines), "lists")
    both(command, line, Path("lists"), "lists")


@pytest.mark.parametrize("out", ["out.json", "out.trn", "out.parquet", "out.jsonl.gz"])
def test_every_format_of_output(command: Command, line: Line, lines: list[bytes], out: str) -> None:
    path = written("list.jsonl", lines)
    both(command, line, path, path, out)


def test_parquet(command: Command, line: Line, lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr_lm.hypotheses.parquet.ROWS", 7)
    write_nbest("list.parquet", map(msgspec.json.Decoder(Utterance).decode, lines))
    both(command, line, written("list.jsonl", lines), "list.parquet")
    both(command, line, Path("list.parquet"), "list.parquet")


def test_default_weights(command: Command, lines: list[bytes]) -> None:
    path = written("list.jsonl", lines)
    both(command, ("rescore", "--no-cache", "--json", "result.json", "--resample", "utterance"), path, path)


def test_a_folder_of_parts(command: Command, line: Line, lines: list[bytes]) -> None:
    path = written("list.jsonl", lines)
    both(command, line, path, path)
    done = command(*line, "--nbest", path, "--out", "parts/", "--engine", "ray")
    assert done.code == 0, done.err
    parts = sorted(Path("parts").iterdir())
    assert len(parts) > 3
    assert b"".join(part.read_bytes() for part in parts) == Path("out.jsonl").read_bytes()
    assert [utterance.id for utterance in read_nbest("parts")] == [utterance.id for utterance in read_nbest(path)]
    write_nbest("list.parquet", read_nbest(path))
    done = command(*line, "--nbest", "list.parquet", "--out", "columns/", "--engine", "ray")
    assert done.code == 0, done.err
    assert list(read_nbest("columns", as_given=True)) == list(read_nbest("out.jsonl", as_given=True))


def test_a_list_in_an_object_store(command: Command, line: Line, lines: list[bytes]) -> None:
    Storage("memory://bucket/lists/1.jsonl").write(b"".join(lines[:20]))
    Storage("memory://bucket/lists/2.jsonl").write(b"".join(lines[20:]))
    both(command, line, written("list.jsonl", lines), "memory://bucket/lists")
    done = command(*line, "--nbest", "memory://bucket/lists", "--out", "memory://bucket/out/", "--engine", "ray")
    assert done.code == 0, done.err
    parts = Storage("memory://bucket/out").files()
    assert b"".join(part.read() for part in parts) == Path("out.jsonl").read_bytes()


BAD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "malformed JSON": lambda row: "{",
    "no hypotheses": lambda row: row | {"hypotheses": []},
    "missing": lambda row: {"id": row["id"]},
    "score names are": lambda row: row | {"hypotheses": [{"text": "a", "scores": {"other": 1.0}}]},
    "used before": lambda row: row,
    "empty": lambda row: row | {"id": " "},
}


def test_bad_rows_are_put_aside(command: Command, line: Line, lines: list[bytes]) -> None:
    first = json.loads(lines[0])
    places = [3, 4, 11, 20, 21, 33]
    spoilt = list(lines)
    for place, (reason, change) in zip(places, BAD.items(), strict=True):
        row = json.loads(lines[place])
        made = change(row) if reason != "used before" else row | {"id": first["id"]}
        spoilt[place] = (made if isinstance(made, str) else json.dumps(made)).encode() + b"\n"
    spoilt.insert(10, b"\n")
    good = [line for number, line in enumerate(lines) if number not in places]
    alone = command(*line, "--nbest", written("good.jsonl", good), "--out", "expected.jsonl")
    figures = Path("result.json").read_bytes()
    found = command(*line, "--nbest", written("bad.jsonl", spoilt), "--out", "out.jsonl", "--engine", "ray")
    assert (alone.code, found.code) == (0, 1), found.err
    assert Path("out.jsonl").read_bytes() == Path("expected.jsonl").read_bytes()
    assert Path("result.json").read_bytes() == figures
    rows = [json.loads(row) for row in Path("out.jsonl.bad.jsonl").read_bytes().splitlines()]
    assert [row["line"] for row in rows] == [place + 1 + (place >= 10) for place in places]
    for row, reason in zip(rows, BAD, strict=True):
        assert reason in row["reason"], row
    assert [row["row"].encode() + b"\n" for row in rows] == [spoilt[row["line"] - 1] for row in rows]
    assert "6 rows left out, written to out.jsonl.bad.jsonl" in found.err
    again = command(*line, "--nbest", "good.jsonl", "--out", "out.jsonl", "--engine", "ray")
    assert again.code == 0
    assert not Path("out.jsonl.bad.jsonl").exists()


def test_bad_rows_of_parquet(command: Command, line: Line, lines: list[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_nbest("list.parquet", map(msgspec.json.Decoder(Utterance).decode, lines))
    rows = pq.read_table("list.parquet").to_pylist()
    rows[7]["hypotheses"], rows[30]["id"] = None, rows[2]["id"]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema("list.parquet")), "list.parquet", row_group_size=9)
    found = command(*line, "--nbest", "list.parquet", "--out", "out.jsonl", "--engine", "ray")
    assert found.code == 1, found.err
    kept = [utterance.id for utterance in read_nbest("out.jsonl", as_given=True)]
    assert kept == [row["id"] for number, row in enumerate(rows) if number not in (7, 30)]
    bad = [json.loads(row) for row in Path("out.jsonl.bad.jsonl").read_bytes().splitlines()]
    assert [row["line"] for row in bad] == [8, 31]


class Stopped(BaseException):
    """As a process is that is killed: nothing is cleared away."""


def test_a_run_that_was_stopped_is_taken_up(
    command: Command, line: Line, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written("list.jsonl", lines)
    given = (*line, "--nbest", path, "--engine", "ray", "--out")
    assert command(*given, "whole.jsonl").code == 0
    worked: list[int] = []
    rescored = rescoring.RescoreParts._rescored

    def stopping(self: Any, part: cutting.Part, *arguments: Any) -> Any:
        if len(worked) == 3:
            raise Stopped
        worked.append(part.number)
        return rescored(self, part, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(rescoring.RescoreParts, "_rescored", stopping)
        with pytest.raises(Stopped):
            command(*given, "out.jsonl")
    assert not Path("out.jsonl").exists()
    kept = Storage("out.jsonl.unfinished")
    (kept / "part-000001.figures").write(b"damaged")
    with monkeypatch.context() as patch:
        patch.setattr(
            rescoring.RescoreParts,
            "_rescored",
            lambda self, part, *arguments: (worked.append(part.number), rescored(self, part, *arguments))[1],
        )
        again = command(*given, "out.jsonl")
    assert again.code == 0, again.err
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert worked[:3] == [0, 1, 2]
    assert worked[3:5] == [1, 3]
    assert "2 of" in again.err


def test_other_weights_take_nothing_up(
    command: Command, line: Line, lines: list[bytes], toy: Toy, ngram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written("list.jsonl", lines)
    figures: list[rescoring.Figures] = []
    call = rescoring.RescoreParts.__call__
    monkeypatch.setattr("pipelines.on_ray._finish", lambda *arguments: None)
    monkeypatch.setattr(
        rescoring.RescoreParts, "__call__", lambda self, part: figures.append(call(self, part)) or figures[-1]
    )
    given = ("--nbest", path, "--engine", "ray", "--out", "out.jsonl", "--lm", ngram, "--no-cache")
    assert command("rescore", *given).code == 0
    assert command("rescore", *given).code == 0
    first = len(figures) // 2
    assert [one.found for one in figures] == [False] * first + [True] * first
    assert command("rescore", *given, "--score-kind", "mean").code == 0
    assert not any(one.found for one in figures[2 * first :])


REFUSED: dict[str, tuple[object, ...]] = {
    "--context": ("--context", 2),
    "--together": ("--together",),
    "--features": ("--features", "table"),
    "--report": ("--report", "report.html"),
    "--map": ("--map", "text=nbest[].text"),
    "--references": ("--references", "said.txt"),
    "--format": ("--format", "nemo"),
    "object store": ("--out", "s3://bucket/list.jsonl"),
    "--nbest": ("--out", "-"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_one_process_does_is_refused(command: Command, lines: list[bytes], name: str) -> None:
    path = written("list.jsonl", lines)
    assert name in command("rescore", "--nbest", path, "--engine", "ray", *REFUSED[name]).complaint


def test_a_folder_with_other_things_in_it_is_left_alone(command: Command, lines: list[bytes]) -> None:
    path = written("list.jsonl", lines)
    written("folder/mine.txt", [b"x"])
    assert "mine.txt" in command("rescore", "--nbest", path, "--engine", "ray", "--out", "folder/").complaint


@pytest.mark.parametrize("option", [("--address", "auto"), ("--workers", 2)])
def test_options_of_ray_need_ray(command: Command, lines: list[bytes], option: Line) -> None:
    assert "--engine ray" in command("rescore", "--nbest", written("list.jsonl", lines), *option).complaint


def test_a_list_that_is_none(command: Command) -> None:
    path = written("list.jsonl", [b"{}\n", b"[]\n"])
    assert "list.jsonl" in command("rescore", "--nbest", path, "--engine", "ray").complaint
    written("lists/a.jsonl", [b"{}\n"])
    Path("lists/b.jsonl").write_bytes(b"PAR1")
    assert "one kind" in command("rescore", "--nbest", "lists", "--engine", "ray").complaint


def test_errors_of_workers_are_those_of_one_process(command: Command, lines: list[bytes], ngram: Path) -> None:
    path = written("list.jsonl", lines)
    given = ("rescore", "--nbest", path, "--lm", f"acoustic={ngram}", "--out", "out.jsonl")
    alone, together = command(*given).complaint, command(*given, "--engine", "ray")
    assert together.code == 2
    assert together.err.splitlines()[-1] == alone
    with pytest.raises(InputError):
        Storage("nothing://there")
