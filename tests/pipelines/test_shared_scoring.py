"""``torchrun`` with ``rescore`` and ``compare``: several processes score, and it does not show in the result."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from processes import in_processes
from toy_language import Command, Finished, Toy, call

from asr_lm.hypotheses.reading import read_nbest
from asr_lm.lm.loading import load_model
from asr_lm.rescoring.scoring import scorer as scoring
from pipelines import shared_scoring

SMALL = 24
"""Hypotheses of a shard here; the toy lists have many such shards."""


def shared_call(rank: int, name: str, *arguments: object, dies_at: int | None = None) -> tuple[Finished, int]:
    """A command in one of several processes, and how many shards were computed there."""
    computed = 0
    compute = scoring.score_texts

    def counted(*given: Any) -> Any:
        nonlocal computed
        if rank == 1 and computed == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        computed += 1
        return compute(*given)

    scoring.SHARD_HYPOTHESES, scoring.score_texts = SMALL, counted
    at_the_end: list[Any] = []
    shared_scoring.atexit = SimpleNamespace(register=lambda *work, **options: at_the_end.append((work, options)))  # type: ignore[attr-defined]
    finished = call(name, *arguments)
    for (function, *given), options in at_the_end:
        function(*given, **options)
    return finished, computed


def dying_call(rank: int, *arguments: object) -> tuple[Finished, int]:
    return shared_call(rank, *arguments, dies_at=1)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SHARD_HYPOTHESES", SMALL)


@pytest.fixture
def rescore(toy: Toy, lstm: Path, ngram: Path) -> tuple[object, ...]:
    models = ("--lm", lstm, "--lm", ngram)
    return ("rescore", "--nbest", toy.test, "--dev", toy.dev, *models, "--out", "out.json", "--json", "record.json")


@pytest.fixture
def expected(command: Command, rescore: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What one process writes."""
    assert command(*rescore, "--no-cache").code == 0
    return written()


def written() -> dict[str, bytes]:
    files = {name: Path(name).read_bytes() for name in ("out.json", "record.json")}
    for name in files:
        Path(name).unlink()
    return files


def test_two_processes_write_what_one_writes(rescore: tuple[object, ...], expected: dict[str, bytes]) -> None:
    results = in_processes(shared_call, *rescore)
    assert [finished.code for finished, _ in results] == [0, 0], results
    assert written() == expected
    (first, ours), (second, theirs) = results
    assert abs(ours - theirs) <= 4
    assert min(ours, theirs) >= 4
    assert "utterances rescored" in first.out
    assert second.out == second.err == ""
    # What they kept is all there is to compute.
    again, _ = in_processes(shared_call, *rescore, count=1)[0]
    assert again.code == 0


def test_without_a_cache_they_share_a_folder_that_goes(
    rescore: tuple[object, ...], expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    results = in_processes(shared_call, *rescore, "--no-cache")
    assert [finished.code for finished, _ in results] == [0, 0], results
    assert written() == expected
    assert min(computed for _, computed in results) >= 4
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_a_dead_process_left_undone_is_computed_by_the_first(
    rescore: tuple[object, ...], expected: dict[str, bytes]
) -> None:
    (first, computed), dead = in_processes(dying_call, *rescore)
    assert dead is None
    assert first.code == 0, first
    assert written() == expected
    everything = sum(count for _, count in in_processes(shared_call, *rescore, "--no-cache"))
    # The one shard that the other had finished was found.
    assert computed == everything - 1


def test_what_a_killed_run_had_finished_is_found_by_the_next(
    rescore: tuple[object, ...], expected: dict[str, bytes], tmp_path: Path
) -> None:
    in_processes(dying_call, *rescore)
    kept = list((tmp_path / "cache").glob("*.scores"))
    for path in kept[::2]:
        path.unlink()
    results = in_processes(shared_call, *rescore)
    assert sum(computed for _, computed in results) == len(kept[::2])
    assert written() == expected


def test_compare_is_shared_too(command: Command, toy: Toy, lstm: Path, ngram: Path) -> None:
    arguments = ("compare", "--dev", toy.dev, "--test", toy.test, "--lm", lstm, "--lm", ngram, "--json", "c.json")
    assert command(*arguments, "--no-cache").code == 0
    alone = json.loads(Path("c.json").read_text())
    results = in_processes(shared_call, *arguments)
    assert [finished.code for finished, _ in results] == [0, 0], results
    shared = json.loads(Path("c.json").read_text())
    assert set(shared) == set(alone)
    assert shared["rows" if "rows" in alone else "first_pass"] == alone["rows" if "rows" in alone else "first_pass"]
    assert min(computed for _, computed in results) >= 4


def test_standard_input_is_no_list_for_several(lstm: Path) -> None:
    results = in_processes(shared_call, "rescore", "--nbest", "-", "--lm", lstm)
    assert [finished.code for finished, _ in results] == [2, 2]
    said = "".join(finished.err for finished, _ in results)
    assert said.count("error:") == 1
    assert "several processes cannot share standard input" in said


def test_scoring_is_a_function_of_the_model_and_the_texts_alone(toy: Toy, lstm: Path) -> None:
    """So a worker of any framework may map it over parts of a list, in any order and wherever it runs."""
    texts = [hypothesis.text for utterance in read_nbest(toy.test) for hypothesis in utterance.hypotheses]
    whole = scoring.score_texts(load_model(lstm), texts)
    model = load_model(lstm)
    for begin in range(len(texts) - 7, -1, -37):
        part = scoring.score_texts(model, texts[begin : begin + 7])
        np.testing.assert_allclose(part.log_prob, whole.log_prob[begin : begin + 7], atol=1e-4)
        np.testing.assert_array_equal(part.tokens, whole.tokens[begin : begin + 7])
        np.testing.assert_array_equal(part.unknown, whole.unknown[begin : begin + 7])
    again = scoring.score_texts(model, texts)
    assert again.log_prob.tobytes() == whole.log_prob.tobytes()
