"""Several processes train as one would with all their batches in each step."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import test_training as one
import torch
from processes import in_processes
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.lm.training.batches import IGNORED, StreamBatches
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE, Checkpoint
from asr_lm.lm.training.distributed import ALONE, Processes, ProcessLost, SharedBatches, join, shared
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress

PLAIN = replace(one.CONFIG, dropout=0.0)
Report = Callable[[TrainingProgress], None]


def sources(options: TrainingOptions, count: int) -> list[Any]:
    """The batches of all processes."""
    if options.context == "stream":
        streams = count * (options.batch_tokens // options.bptt)
        corpora = ((one.TRAIN, streams), (one.VALID, 3))
        return [StreamBatches(corpus, one.VOCABULARY, rows, options.bptt) for corpus, rows in corpora]
    return list(one.batches(options))


def train(
    rank: int, folder: Path, options: TrainingOptions, report: Report, config: Any = PLAIN, count: int = 2
) -> tuple[Tensor, float]:
    """Weights and validation loss of this process's training."""
    processes = join()
    trained = one.network(config)
    torch.manual_seed(rank)
    own = [shared(source, processes) for source in sources(options, count)]
    result = train_network(
        trained, *own, options, folder, identity={}, report=report, checkpoint_seconds=0.0, processes=processes
    )
    return one.flat(trained), result.best_loss


def nothing(progress: TrainingProgress) -> None:
    """No report."""


OPTIONS = replace(one.OPTIONS, epochs=2.0)
STREAM = replace(OPTIONS, context="stream", validations=3)


class TestSameAsOne:
    @pytest.mark.parametrize(
        "options", [OPTIONS, replace(OPTIONS, accumulate=2, ema=0.5), STREAM, replace(STREAM, average=2, clip=0.01)]
    )
    def test_the_weights_of_one_process_with_twice_the_batch(self, tmp_path: Path, options: TrainingOptions) -> None:
        results = in_processes(train, tmp_path / "two", options, nothing)
        # The two take two batches a step; of a stream they take the rows that one would have.
        alone = options if options.context == "stream" else replace(options, accumulate=2 * options.accumulate)
        weights, loss = train(0, tmp_path / "one", alone, nothing)
        for other, other_loss in results:
            torch.testing.assert_close(other, weights, atol=1e-5, rtol=1e-4)
            assert other_loss == pytest.approx(loss, abs=1e-5)
        assert torch.equal(results[0][0], results[1][0])
        assert not torch.equal(weights, one.flat(one.network(PLAIN)))
        assert sorted(os.listdir(tmp_path / "two")) == sorted(os.listdir(tmp_path / "one"))

    def test_three_processes_and_an_epoch_that_they_cannot_share_evenly(self, tmp_path: Path) -> None:
        options = replace(OPTIONS, validations=1, batch_tokens=36)
        assert one.batches(options)[0].count(0) % 3
        results = in_processes(train, tmp_path / "three", options, nothing, PLAIN, 3, count=3)
        weights, _ = train(0, tmp_path / "one", replace(options, accumulate=3), nothing)
        for other, _ in results:
            torch.testing.assert_close(other, weights, atol=1e-5, rtol=1e-4)


def killed(rank: int, folder: Path, options: TrainingOptions, step: int, config: Any) -> Any:
    return train(rank, folder, options, one.killed_at(step), config)


class TestResume:
    @pytest.mark.parametrize("options", [OPTIONS, STREAM], ids=["sentences", "stream"])
    def test_killed_and_taken_up_they_come_to_the_same_end(self, tmp_path: Path, options: TrainingOptions) -> None:
        # With dropout, whose random numbers each process has for itself.
        whole = in_processes(train, tmp_path / "whole", options, nothing, one.CONFIG)
        assert torch.equal(whole[0][0], whole[1][0])
        for step in (3, 4):
            lost = in_processes(killed, tmp_path / "killed", options, step, one.CONFIG)
            assert any(isinstance(error, one.Killed) for error in lost)
        resumed = in_processes(train, tmp_path / "killed", options, nothing, one.CONFIG)
        for (weights, loss), (expected, expected_loss) in zip(resumed, whole, strict=True):
            assert torch.equal(weights, expected)
            assert loss == expected_loss
        assert one.curve(tmp_path / "killed") == one.curve(tmp_path / "whole")

    def test_another_number_of_processes_does_not_take_it_up(self, tmp_path: Path) -> None:
        in_processes(killed, tmp_path, OPTIONS, 3, PLAIN)
        with pytest.raises(InputError, match="another processes lies here"):
            train(0, tmp_path, OPTIONS, nothing)


def interrupted(rank: int, folder: Path) -> Any:
    def report(progress: TrainingProgress) -> None:
        if progress.step == 3 and rank == 1:
            signal.raise_signal(signal.SIGINT)

    return train(rank, folder, OPTIONS, report)


def dying(rank: int, folder: Path) -> Any:
    def report(progress: TrainingProgress) -> None:
        if progress.step == 3 and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    return train(rank, folder, OPTIONS, report)


def overflowing(rank: int, folder: Path) -> Any:
    make, networks = one.LstmNetwork, []

    def remembered(config: Any) -> Any:
        networks.append(make(config))
        return networks[-1]

    def poison(progress: TrainingProgress) -> None:
        if progress.step == 3 and rank == 1:
            with torch.no_grad():
                networks[0].output.bias[3] = math.nan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one, "LstmNetwork", remembered)
        return train(rank, folder, OPTIONS, poison)


class TestEnd:
    def test_ctrl_c_in_one_stops_all_after_the_same_step(self, tmp_path: Path) -> None:
        errors = in_processes(interrupted, tmp_path / "stopped")
        assert [type(error) for error in errors] == [KeyboardInterrupt, KeyboardInterrupt]
        assert Checkpoint.read(tmp_path / "stopped" / CHECKPOINT_FILE).facts["step"] == 3
        resumed = in_processes(train, tmp_path / "stopped", OPTIONS, nothing)
        whole = in_processes(train, tmp_path / "whole", OPTIONS, nothing)
        assert torch.equal(resumed[0][0], whole[0][0])

    def test_one_that_dies_is_noticed_by_the_others(self, tmp_path: Path) -> None:
        survivor, dead = in_processes(dying, tmp_path)
        assert dead is None
        assert isinstance(survivor, ProcessLost)
        assert Checkpoint.read(tmp_path / CHECKPOINT_FILE).facts["step"] == 2

    def test_a_loss_that_overflows_anywhere_ends_all(self, tmp_path: Path) -> None:
        errors = in_processes(overflowing, tmp_path)
        assert all(isinstance(error, InputError) for error in errors), errors
        assert all("no longer finite after 3 steps" in str(error) for error in errors)


class TestShares:
    @pytest.mark.parametrize("count", [2, 3, 7, 20])
    @pytest.mark.parametrize("options", [OPTIONS, STREAM], ids=["sentences", "stream"])
    def test_every_token_is_in_one_share(self, options: TrainingOptions, count: int) -> None:
        source = sources(options, 2)[0]
        parts = [SharedBatches(source, Processes(rank, count)) for rank in range(count)]
        assert len({part.count(1) for part in parts}) == 1
        shares = [list(part.batches(1)) for part in parts]
        assert {len(share) for share in shares} == {parts[0].count(1)}

        def targets(batches: Any) -> list[int]:
            return sorted(int(token) for batch in batches for token in batch.targets.flatten() if token != IGNORED)

        together = [batch for share in shares for batch in share]
        assert targets(together) == targets(source.batches(1))

    def test_a_share_can_be_taken_up_anywhere(self) -> None:
        part = SharedBatches(sources(OPTIONS, 2)[0], Processes(1, 2))
        whole = list(part.batches(0))
        for start in range(len(whole) + 1):
            rest = list(part.batches(0, start))
            assert len(rest) == len(whole) - start
            assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(rest, whole[start:], strict=True))

    def test_one_process_has_all(self) -> None:
        source = sources(OPTIONS, 1)[0]
        assert shared(source, ALONE) is source
        assert ALONE.total(1.0, math.pi) == [1.0, math.pi]
        assert join() is ALONE
