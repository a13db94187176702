"""Laws of the training loop: what it does at each step, and that being killed at any of them changes nothing."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.registry import find_preset
from asr_lm.lm.loading import load_model
from asr_lm.lm.neural import NeuralLanguageModel
from asr_lm.lm.training import loop as training_module
from asr_lm.lm.training.batches import Batch, SentenceBatches, StreamBatches
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE, Checkpoint
from asr_lm.lm.training.corpus import TokenCorpus
from asr_lm.lm.training.loop import CURVE_FILE, train_network
from asr_lm.lm.training.muon import hidden_matrices
from asr_lm.lm.training.optimizers import learning_rate_factor
from asr_lm.lm.training.options import TextOptions, TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult
from asr_lm.lm.training.recipe import train_model
from asr_lm.text.vocabulary import WordVocabulary

VOCABULARY = WordVocabulary([f"w{number}" for number in range(9)])
Report = Callable[[TrainingProgress], None]


@pytest.fixture(autouse=True)
def _no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def text(sentences: int, seed: int) -> TokenCorpus:
    random = np.random.default_rng(seed)
    lines = [" ".join(f"w{word}" for word in random.integers(9, size=random.integers(1, 9))) for _ in range(sentences)]
    return TokenCorpus.from_sentences(lines, VOCABULARY)


TRAIN, VALID = text(60, 1), text(12, 2)
CONFIG = LstmConfig(VOCABULARY.size, embedding=6, hidden=6, layers=2, dropout=0.3)
# 22 steps in two and a half epochs, validated every fourth.
OPTIONS = TrainingOptions(epochs=2.5, batch_tokens=40, bptt=7, learning_rate=1e-2, validations=5, patience=0)
STREAM = replace(OPTIONS, context="stream")


def network(config: LstmConfig = CONFIG) -> LstmNetwork:
    torch.manual_seed(7)
    return LstmNetwork(config)


def batches(options: TrainingOptions) -> Any:
    if options.context == "stream":
        streams = options.batch_tokens // options.bptt
        return StreamBatches(TRAIN, VOCABULARY, streams, options.bptt), StreamBatches(VALID, VOCABULARY, 2, 7)
    return (
        SentenceBatches(TRAIN, VOCABULARY, options.batch_tokens, options.seed),
        SentenceBatches(VALID, VOCABULARY, 60, None),
    )


def train(
    folder: Path,
    options: TrainingOptions = OPTIONS,
    report: Report = lambda progress: None,
    *,
    trained: LstmNetwork | None = None,
    identity: dict[str, Any] | None = None,
    checkpoint_seconds: float = math.inf,  # after validations only
) -> tuple[LstmNetwork, TrainingResult]:
    trained = trained or network()
    sources = batches(options)
    result = train_network(
        trained, *sources, options, folder, identity=identity or {"text": "t"}, report=report,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip
    return trained, result


def curve(folder: Path) -> list[dict[str, Any]]:
    """The curve without the time it took."""
    lines = (folder / CURVE_FILE).read_text().splitlines()
    points = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    return [{name: value for name, value in point.items() if name != "seconds"} for point in points]


def same_weights(first: LstmNetwork, second: LstmNetwork) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


class Killed(Exception):
    """What takes a process away without a word."""


def killed_at(*steps: int) -> Report:
    left = list(steps)

    def report(progress: TrainingProgress) -> None:
        if left and progress.step == left[0]:
            left.pop(0)
            raise Killed

    return report


class TestResume:
    @pytest.fixture(scope="class")
    @staticmethod
    def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrainingOptions], Any]:
        """Weights, result and curve of a training nobody disturbed."""
        done: dict[TrainingOptions, Any] = {}

        def run(options: TrainingOptions) -> Any:
            if options not in done:
                folder = tmp_path_factory.mktemp("unbroken")
                done[options] = (*train(folder, options), curve(folder))
            return done[options]

        return run

    @pytest.mark.parametrize(
        "options",
        [
            OPTIONS,
            STREAM,
            replace(OPTIONS, optimizer="sgd", learning_rate=0.5, weight_decay=1e-3, schedule="plateau"),
            replace(STREAM, optimizer="sgd", learning_rate=0.5, clip=0.0),
            replace(STREAM, schedule="plateau", learning_rate=0.3, patience=3, weight_decay=0.1),
            replace(OPTIONS, accumulate=2, ema=0.8, average=3, validations=11),
            replace(STREAM, accumulate=3, average=2, schedule="step", validations=8),
            replace(STREAM, optimizer="muon", weight_decay=0.1),
        ],
        ids=[
            *("sentences-adamw", "stream-adamw", "sentences-sgd", "stream-sgd", "stream-plateau"),
            *("sentences-averages", "stream-averages", "stream-muon"),
        ],
    )
    def test_killed_again_and_again_it_comes_to_the_same_end(
        self, tmp_path: Path, options: TrainingOptions, unbroken: Callable[[TrainingOptions], Any]
    ) -> None:
        weights, result, expected = unbroken(options)
        for step in sorted({1, 4, 5, 10, result.steps}):
            torch.manual_seed(step)  # whatever happened in the new process before
            if step <= result.steps:
                with pytest.raises(Killed):
                    train(tmp_path, options, killed_at(step), checkpoint_seconds=0.0)
        resumed, again = train(tmp_path, options, checkpoint_seconds=0.0)
        assert curve(tmp_path) == expected
        assert same_weights(resumed, weights)
        assert replace(again, seconds=0) == replace(result, seconds=0)

    @pytest.mark.parametrize("options", [OPTIONS, STREAM], ids=["sentences", "stream"])
    def test_without_recent_checkpoints_it_goes_back_and_comes_to_the_same_end(
        self, tmp_path: Path, options: TrainingOptions, unbroken: Callable[[TrainingOptions], Any]
    ) -> None:
        for step in (3, 7, 13, 14):
            with pytest.raises(Killed):
                train(tmp_path, options, killed_at(step))
        resumed, _ = train(tmp_path, options)
        weights, _, expected = unbroken(options)
        assert curve(tmp_path) == expected
        assert same_weights(resumed, weights)

    def test_a_finished_training_is_not_trained_again(
        self, tmp_path: Path, unbroken: Callable[[TrainingOptions], Any]
    ) -> None:
        train(tmp_path)
        steps: list[int] = []
        resumed, result = train(tmp_path, report=lambda progress: steps.append(progress.step))
        assert steps == []
        assert same_weights(resumed, unbroken(OPTIONS)[0])
        assert replace(result, seconds=0) == replace(unbroken(OPTIONS)[1], seconds=0)

    def test_a_write_that_fails_leaves_the_older_checkpoint(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Callable[[TrainingOptions], Any]
    ) -> None:
        with pytest.raises(Killed):
            train(tmp_path, report=killed_at(6))
        before = (tmp_path / CHECKPOINT_FILE).read_bytes()
        replace_file = os.replace

        def full(source: str, target: Any) -> None:
            if str(target).endswith(CHECKPOINT_FILE):
                raise OSError(28, "No space left on device")
            replace_file(source, target)

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
            train(tmp_path)
        assert (tmp_path / CHECKPOINT_FILE).read_bytes() == before
        assert sorted(os.listdir(tmp_path)) == [CHECKPOINT_FILE, CURVE_FILE]
        monkeypatch.undo()
        assert same_weights(train(tmp_path)[0], unbroken(OPTIONS)[0])

    def test_what_a_kill_left_half_written_is_cleared_away(self, tmp_path: Path) -> None:
        (tmp_path / f".{CHECKPOINT_FILE}.abc.partial").write_bytes(b"half")
        train(tmp_path)
        assert sorted(os.listdir(tmp_path)) == [CHECKPOINT_FILE, CURVE_FILE]


SCRIPT = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import test_training as t

def report(progress):
    if progress.step == 11:
        os.kill(os.getpid(), signal.SIGKILL)

t.train(t.Path({folder!r}), t.OPTIONS, report, checkpoint_seconds=0.0)
"""


def test_a_killed_process_is_taken_up_by_another(tmp_path: Path) -> None:
    code = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "killed"))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert Checkpoint.read(tmp_path / "killed" / CHECKPOINT_FILE).facts["step"] == 10
    resumed, _ = train(tmp_path / "killed")
    weights, _ = train(tmp_path / "whole")
    assert same_weights(resumed, weights)
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")


class TestInterrupt:
    def test_ctrl_c_saves(self, tmp_path: Path) -> None:
        def interrupt(progress: TrainingProgress) -> None:
            if progress.step == 6:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped", report=interrupt)
        assert Checkpoint.read(tmp_path / "stopped" / CHECKPOINT_FILE).facts["step"] == 6
        self.compare(tmp_path)

    @pytest.mark.parametrize("place", ["forward", "backward", "optimizer"])
    def test_ctrl_c_within_a_step_waits_for_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        owner, name = {
            "forward": (LstmNetwork, "forward"),
            "backward": (torch.nn.utils, "clip_grad_norm_"),
            "optimizer": (torch.optim.AdamW, "step"),
        }[place]
        original, calls = getattr(owner, name), []

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == 3:
                signal.raise_signal(signal.SIGINT)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, interrupted)
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped")
        assert signal.getsignal(signal.SIGINT) is handler
        monkeypatch.undo()
        assert Checkpoint.read(tmp_path / "stopped" / CHECKPOINT_FILE).facts["step"] == 3
        self.compare(tmp_path)

    def test_ctrl_c_within_a_validation_repeats_the_validation(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(run: Any) -> float:
            raise KeyboardInterrupt

        monkeypatch.setattr(training_module._Run, "validation_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped")
        monkeypatch.undo()
        checkpoint = Checkpoint.read(tmp_path / "stopped" / CHECKPOINT_FILE)
        assert (checkpoint.facts["step"], checkpoint.facts["curve"], checkpoint.facts["best_loss"]) == (4, [], None)
        self.compare(tmp_path)

    def test_it_trains_in_a_thread_where_signals_cannot_be_held_back(self, tmp_path: Path) -> None:
        thread = threading.Thread(target=train, args=(tmp_path / "stopped",))
        thread.start()
        thread.join()
        self.compare(tmp_path)

    @staticmethod
    def compare(tmp_path: Path) -> None:
        resumed, _ = train(tmp_path / "stopped")
        weights, _ = train(tmp_path / "whole")
        assert same_weights(resumed, weights)
        assert curve(tmp_path / "stopped") == curve(tmp_path / "whole")


class TestOtherSettings:
    @pytest.mark.parametrize(
        ("options", "identity", "named"),
        [
            (replace(OPTIONS, learning_rate=1e-3), None, ["learning_rate"]),
            (replace(OPTIONS, seed=2, epochs=3.0), None, ["epochs", "seed"]),
            (OPTIONS, {"text": "another"}, ["text"]),
            (OPTIONS, {"text": "t", "network": {"hidden": 7}}, ["network"]),
            (STREAM, {"validation text": "v"}, ["text", "validation text", "context"]),
        ],
    )
    def test_they_refuse_the_checkpoint_and_leave_it(
        self, tmp_path: Path, options: TrainingOptions, identity: dict[str, Any] | None, named: list[str]
    ) -> None:
        with pytest.raises(Killed):
            train(tmp_path, report=killed_at(5))
        before = (tmp_path / CHECKPOINT_FILE).read_bytes()
        with pytest.raises(InputError, match=r"an unfinished training with another .* lies here") as error:
            train(tmp_path, options, identity=identity)
        assert f"another {', '.join(named)} lies here" in error.value.message
        assert error.value.file == str(tmp_path / CHECKPOINT_FILE)
        assert (tmp_path / CHECKPOINT_FILE).read_bytes() == before


class TestDamage:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        with pytest.raises(Killed):
            train(tmp_path, report=killed_at(5))
        return tmp_path / CHECKPOINT_FILE

    def refused(self, path: Path) -> None:
        with pytest.raises(InputError, match=r"damaged checkpoint \(.*\); remove it to start afresh") as error:
            train(path.parent)
        assert error.value.file == str(path)

    def test_without_it_the_training_starts_afresh(self, path: Path) -> None:
        path.unlink()
        assert train(path.parent)[1].steps == 22

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
    def test_cut_off(self, path: Path, share: float) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        self.refused(path)

    @pytest.mark.parametrize("metadata", [None, {}, {"facts": "{"}, {"facts": "[]"}])
    def test_facts_that_are_none(self, path: Path, metadata: dict[str, str] | None) -> None:
        save_file(self.tensors(path), path, metadata)
        self.refused(path)

    @pytest.mark.parametrize(
        "missing", ["network.output.bias", "random.cpu", "best.output.bias", "optimizer.0.exp_avg", "step", "best_loss"]
    )
    def test_a_part_that_is_missing(self, path: Path, missing: str) -> None:
        checkpoint = Checkpoint.read(path)
        tensors = {name: value for name, value in checkpoint.tensors.items() if name != missing}
        facts = {name: value for name, value in checkpoint.facts.items() if name != missing}
        assert len(tensors) + len(facts) == len(checkpoint.tensors) + len(checkpoint.facts) - 1
        Checkpoint(tensors, facts).write(path)
        self.refused(path)

    @pytest.mark.parametrize("name", ["network.output.bias", "best.output.bias", "optimizer.0.exp_avg", "random.cpu"])
    def test_a_part_of_another_shape(self, path: Path, name: str) -> None:
        checkpoint = Checkpoint.read(path)
        Checkpoint({**checkpoint.tensors, name: torch.zeros(1)}, checkpoint.facts).write(path)
        self.refused(path)

    def test_nothing_is_unpickled(self, path: Path) -> None:
        torch.save({"step": 1}, path)
        self.refused(path)

    @staticmethod
    def tensors(path: Path) -> dict[str, Tensor]:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


class TestCurve:
    def test_every_point_says_where_it_stands(self, tmp_path: Path) -> None:
        seen: list[TrainingProgress] = []
        _, result = train(tmp_path, report=seen.append)
        points = [json.loads(line) for line in (tmp_path / CURVE_FILE).read_text().splitlines()]
        assert [point["step"] for point in points] == [4, 8, 12, 16, 20, 22]
        assert result.steps == len(seen) == 22
        assert result.tokens == points[-1]["tokens"] == seen[-1].tokens
        best = min(points, key=lambda point: point["valid_loss"])
        assert (result.best_loss, result.best_step) == (best["valid_loss"], best["step"])
        steps = batches(OPTIONS)[0].count(0)
        for point in points:
            assert set(point) == {
                "step", "epoch", "tokens", "train_loss", "valid_loss", "valid_perplexity", "learning_rate", "seconds",
            }  # fmt: skip
            assert point["epoch"] == pytest.approx(point["step"] / steps, abs=1e-3)
            assert point["valid_perplexity"] == pytest.approx(math.exp(point["valid_loss"]))
        assert [point["seconds"] for point in points] == sorted(point["seconds"] for point in points)

    def test_losses_are_means_over_tokens(self, tmp_path: Path) -> None:
        """With a learning rate of almost nothing they are the initial network's."""
        options = replace(OPTIONS, learning_rate=1e-12, epochs=1.0, validations=1)
        trained, result = train(tmp_path, options, trained=network(replace(CONFIG, dropout=0.0)))
        model = NeuralLanguageModel("lstm", trained, VOCABULARY, "as-is")
        (point,) = curve(tmp_path)
        for corpus, loss in ((TRAIN, point["train_loss"]), (VALID, point["valid_loss"])):
            sentences = [corpus[index] for index in range(len(corpus))]
            assert -model.score_tokens(sentences).sum() / (corpus.lengths + 1).sum() == pytest.approx(loss, abs=1e-5)
        assert result.tokens == (TRAIN.lengths + 1).sum()

    def test_the_best_weights_are_kept_and_not_the_last(self, tmp_path: Path) -> None:
        options = replace(OPTIONS, learning_rate=0.5, schedule="constant", warmup=0.0, clip=0.0)
        trained, result = train(tmp_path, options)
        losses = [point["valid_loss"] for point in curve(tmp_path)]
        assert result.best_loss == min(losses) < losses[-1]
        _, valid = batches(options)
        trained.eval()
        with torch.no_grad():
            total = sum(
                float(trained.output.nll(trained(batch.inputs)[0].flatten(0, 1), batch.targets.flatten().clamp(0))
                      [batch.targets.flatten() >= 0].sum())
                for batch in valid.batches(0)
            )  # fmt: skip
        assert total / (VALID.lengths + 1).sum() == pytest.approx(result.best_loss, abs=1e-5)

    def test_progress_shows_tokens_a_second_and_the_time_left(self, tmp_path: Path) -> None:
        begun, seen = time.monotonic(), []
        train(tmp_path, report=seen.append)
        assert [progress.step for progress in seen] == list(range(1, 23))
        assert all(progress.steps == 22 for progress in seen)
        assert [progress.valid_loss is None for progress in seen] == [True] * 3 + [False] * 19
        assert all(math.isfinite(progress.train_loss) for progress in seen)
        assert all(progress.tokens_per_second > progress.tokens / (time.monotonic() - begun) for progress in seen[:1])
        assert seen[-1].seconds_left == 0
        middle = seen[10]
        expected = middle.tokens / middle.step * 11 / middle.tokens_per_second
        assert middle.seconds_left == pytest.approx(expected, rel=1e-6)


class TestSchedule:
    def rates(self, options: TrainingOptions, total: int) -> list[float]:
        return [learning_rate_factor(step, total, options) for step in range(total)]

    def test_values(self) -> None:
        plain = replace(OPTIONS, warmup=0.0)
        assert self.rates(replace(plain, schedule="constant"), 5) == [1.0] * 5
        assert self.rates(replace(plain, schedule="plateau"), 5) == [1.0] * 5
        assert self.rates(replace(plain, schedule="linear"), 5) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
        cosine = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
        assert self.rates(replace(plain, schedule="cosine"), 4) == pytest.approx(cosine)

    @pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "plateau"])
    def test_the_rate_rises_in_the_warm_up_and_never_after(self, schedule: Any) -> None:
        rates = self.rates(replace(OPTIONS, schedule=schedule, warmup=0.1), 100)
        assert rates[:10] == pytest.approx([step / 11 for step in range(1, 11)])
        assert max(rates) == rates[10] == 1.0
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert min(rates) > 0

    def test_step_falls_after_every_epoch_from_one_on(self) -> None:
        options = replace(OPTIONS, schedule="step", epochs=5.0, warmup=0.0, decay=0.5, decay_after=2.0)
        expected = [1.0] * 6 + [0.5] * 3 + [0.25] * 3 + [0.125] * 3
        assert self.rates(options, 15) == pytest.approx(expected)

    def test_step_falls_where_epochs_end_in_the_published_settings_too(self) -> None:
        preset = find_preset("lstm", "zaremba-medium").training
        options, batches_an_epoch = TrainingOptions(**preset), 1328
        rates = self.rates(options, 39 * batches_an_epoch)
        firsts = rates[::batches_an_epoch]
        assert rates[batches_an_epoch - 1 :: batches_an_epoch] == firsts
        assert firsts[:7] == pytest.approx([1.0] * 6 + [1 / 1.2])
        assert firsts[-1] == pytest.approx(1.2**-33)

    def test_all_may_be_warm_up(self) -> None:
        assert self.rates(replace(OPTIONS, warmup=1.0), 4) == pytest.approx([0.2, 0.4, 0.6, 0.8])

    def test_the_optimiser_gets_the_rate(self, tmp_path: Path) -> None:
        seen: list[TrainingProgress] = []
        train(tmp_path, report=seen.append)
        expected = [OPTIONS.learning_rate * learning_rate_factor(step, 22, OPTIONS) for step in range(22)]
        assert [progress.learning_rate for progress in seen] == pytest.approx(expected)
        assert curve(tmp_path)[-1]["learning_rate"] == pytest.approx(expected[-1])

    def scripted(self, monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
        left = iter(losses)
        monkeypatch.setattr(training_module._Run, "validation_loss", lambda run: next(left))

    def test_plateau_multiplies_the_rate_when_the_loss_did_not_fall(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.scripted(monkeypatch, [3.0, 3.0, 2.0, 2.5, 2.4, 1.0])
        options = replace(OPTIONS, schedule="plateau", decay=0.5, warmup=0.0, learning_rate=0.16)
        train(tmp_path, options)
        assert [point["learning_rate"] for point in curve(tmp_path)] == pytest.approx(
            [0.16, 0.16, 0.08, 0.08, 0.04, 0.02]
        )

    @pytest.mark.parametrize(("patience", "steps", "best_step"), [(1, 8, 4), (2, 20, 12), (3, 22, 12), (0, 22, 12)])
    def test_patience(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int, steps: int, best_step: int
    ) -> None:
        self.scripted(monkeypatch, [3.0, 3.5, 2.0, 2.5, 2.4, 2.1])
        _, result = train(tmp_path, replace(OPTIONS, patience=patience))
        assert (result.steps, result.best_step) == (steps, best_step)
        assert result.stopped_early == (steps < 22)
        assert len(curve(tmp_path)) == math.ceil(steps / 4)

    @pytest.mark.parametrize(
        ("losses", "expected"),
        [
            ([6.0, 5.0, 4.0, 3.5, 3.3, 3.2], True),
            ([6.0, 5.0, 4.0, 3.5, 3.1, 3.2], False),
            ([6.0, 3.2, 3.1, 3.2, 3.1, 3.0995], False),
            ([6.0, 5.0, 4.0, 3.5, 3.2, 3.1995], True),
            ([6.0, 3.0, 3.5, 3.5, 3.5, 2.9], True),
        ],
    )
    def test_whether_it_was_still_learning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[float], expected: bool
    ) -> None:
        self.scripted(monkeypatch, losses)
        _, result = train(tmp_path, OPTIONS)
        assert not result.stopped_early
        assert result.still_learning == expected

    def test_one_that_patience_ended_had_stopped_learning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.scripted(monkeypatch, [3.0, 2.0, 2.5])
        _, result = train(tmp_path, replace(OPTIONS, patience=1))
        assert result.stopped_early
        assert not result.still_learning

    def test_one_step_is_a_training(self, tmp_path: Path) -> None:
        _, result = train(tmp_path, replace(OPTIONS, epochs=1e-9))
        assert (result.steps, result.best_step, result.stopped_early) == (1, 1, False)


class TestStep:
    def first_gradient_and_change(self, tmp_path: Path, options: TrainingOptions) -> tuple[Tensor, Tensor]:
        plain = replace(CONFIG, dropout=0.0)
        before, after = network(plain), network(plain)
        batch = next(batches(options)[0].batches(0))
        hidden, _ = before(batch.inputs)
        kept = batch.targets >= 0
        before.output.nll(hidden[kept], batch.targets[kept]).mean().backward()
        train(tmp_path, replace(options, epochs=1e-9), trained=after)
        pairs = list(zip(before.parameters(), after.parameters(), strict=True))
        gradient = torch.cat([one.grad.flatten() for one, _ in pairs if one.grad is not None])
        return gradient, torch.cat([(other - one).detach().flatten() for one, other in pairs])

    @pytest.mark.parametrize("clip", [0.0, 1e-2, 1e3])
    @pytest.mark.parametrize("context", ["sentence", "stream"])
    def test_sgd_goes_down_the_gradient_of_the_mean_loss_clipped_to_its_norm(
        self, tmp_path: Path, clip: float, context: Any
    ) -> None:
        options = replace(
            OPTIONS, optimizer="sgd", learning_rate=0.5, clip=clip, warmup=0.0, schedule="constant", context=context
        )
        gradient, change = self.first_gradient_and_change(tmp_path, options)
        if clip and gradient.norm() > clip:
            gradient = gradient * clip / gradient.norm()
        torch.testing.assert_close(change, -0.5 * gradient, atol=1e-6, rtol=1e-3)
        assert change.norm() > 0

    def test_adamw_goes_by_the_sign_and_decays_matrices_only(self, tmp_path: Path) -> None:
        options = replace(OPTIONS, learning_rate=1e-3, weight_decay=100.0, warmup=0.0, schedule="constant", clip=0.0)
        plain = replace(CONFIG, dropout=0.0)
        gradient, change = self.first_gradient_and_change(tmp_path, options)
        expected, at = -1e-3 * gradient.sign(), 0
        for parameter in network(plain).parameters():
            if parameter.dim() > 1:
                expected[at : at + parameter.numel()] -= 0.1 * parameter.detach().flatten()
            at += parameter.numel()
        clear = gradient.abs() > 1e-5
        torch.testing.assert_close(change[clear], expected[clear], atol=2e-6, rtol=1e-2)

    def test_muon_decays_the_matrices_between_layers_alone(self, tmp_path: Path) -> None:
        options = replace(OPTIONS, learning_rate=1e-3, weight_decay=100.0, warmup=0.0, schedule="constant", clip=0.0)
        gradient, change = self.first_gradient_and_change(tmp_path, replace(options, optimizer="muon"))
        plain, at = network(replace(CONFIG, dropout=0.0)), 0
        matrices = hidden_matrices(plain)
        for name, parameter in plain.named_parameters():
            part = slice(at, at := at + parameter.numel())
            if name in matrices:
                step = change[part] + 0.1 * parameter.detach().flatten()
                assert 1e-4 < step.square().mean().sqrt() < 3e-4 < change[part].abs().max()
            else:
                clear = gradient[part].abs() > 1e-5
                torch.testing.assert_close(
                    change[part][clear], -1e-3 * gradient[part][clear].sign(), atol=2e-6, rtol=1e-2
                )
        assert 0 < len(matrices) < len([*plain.parameters()])

    def test_a_stream_carries_its_state_through_an_epoch_and_not_beyond(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[bool] = []
        forward = LstmNetwork.forward

        def recorded(self: LstmNetwork, inputs: Tensor, state: Any = None) -> Any:
            if self.training:
                given.append(state is not None)
            if state is not None:
                assert not any(tensor.requires_grad for tensor in state)
            return forward(self, inputs, state)

        monkeypatch.setattr(LstmNetwork, "forward", recorded)
        train(tmp_path, STREAM)
        steps = batches(STREAM)[0].count(0)
        assert given == [step % steps != 0 for step in range(len(given))]
        assert 2 * steps < len(given) < 3 * steps


class TestAccumulation:
    """Several batches make one step, as one batch of all their sentences would."""

    @staticmethod
    def step(tmp_path: Path, train_batches: list[Batch], accumulate: int, **more: Any) -> LstmNetwork:
        options = replace(OPTIONS, accumulate=accumulate, epochs=1.0, validations=1, **more)
        trained = network(replace(CONFIG, dropout=0.0))
        source = Listed(train_batches)
        train_network(trained, source, batches(OPTIONS)[1], options, tmp_path / str(accumulate), identity={})
        return trained

    @pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
    def test_the_parts_of_a_batch_give_the_step_of_the_whole(self, tmp_path: Path, optimizer: Any) -> None:
        (whole,) = islice(SentenceBatches(TRAIN, VOCABULARY, 400, 1).batches(0), 1)
        rows = len(whole.inputs)
        # Parts of quite different size: each token must weigh the same.
        cuts = [0, 2, 3, rows]
        parts = [Batch(whole.inputs[a:b], whole.targets[a:b]) for a, b in pairwise(cuts)]
        assert len({part.tokens for part in parts}) == 3
        more = {"optimizer": optimizer, "learning_rate": 0.1, "warmup": 0.0}
        apart = self.step(tmp_path, parts, 3, **more)
        together = self.step(tmp_path, [whole], 1, **more)
        assert not same_weights(together, network(replace(CONFIG, dropout=0.0)))
        for one, other in zip(apart.parameters(), together.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)

    def test_the_last_step_of_an_epoch_may_have_fewer(self, tmp_path: Path) -> None:
        seen: list[TrainingProgress] = []
        options = replace(OPTIONS, accumulate=4, epochs=2.0)
        _, result = train(tmp_path, options, seen.append)
        count = batches(OPTIONS)[0].count(0)
        assert count % 4
        assert result.steps == 2 * math.ceil(count / 4)
        assert result.tokens == 2 * (TRAIN.lengths + 1).sum()


class Listed:
    """Batches from a list."""

    carries_state = False

    def __init__(self, items: list[Batch]) -> None:
        self.items = items

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return iter(self.items[start:])

    def count(self, epoch: int) -> int:
        return len(self.items)


class TestAverages:
    def test_the_moving_average_is_that_of_the_weights_after_each_step(self, tmp_path: Path) -> None:
        plain, weights = network(), []
        train(tmp_path / "plain", OPTIONS, lambda progress: weights.append(flat(plain)), trained=plain)
        expected = flat(network())
        for step, after in enumerate(weights, 1):
            decay = min(0.7, (1 + step - 1) / (10 + step - 1))
            expected = decay * expected + (1 - decay) * after
        # Validated at the end alone, so that the last average is the one kept.
        moving, result = train(tmp_path / "moving", replace(OPTIONS, ema=0.7, validations=1))
        torch.testing.assert_close(flat(moving), expected, atol=1e-5, rtol=1e-4)
        assert result.best_loss == pytest.approx(valid_loss(moving), abs=1e-5)

    def test_it_changes_nothing_in_the_steps(self, tmp_path: Path) -> None:
        train(tmp_path / "plain", OPTIONS)
        train(tmp_path / "moving", replace(OPTIONS, ema=0.9))
        losses = [[point["train_loss"] for point in curve(tmp_path / name)] for name in ("plain", "moving")]
        assert losses[0] == losses[1]

    def test_the_average_of_the_last_validations_is_kept_where_it_is_better(self, tmp_path: Path) -> None:
        wild = replace(OPTIONS, learning_rate=1.0, schedule="constant", warmup=0.0, clip=0.0, validations=11)
        plain, alone = network(), []

        def report(progress: TrainingProgress) -> None:
            if progress.step % 2 == 0:
                alone.append(flat(plain))

        _, without = train(tmp_path / "plain", wild, report, trained=plain)
        averaged, result = train(tmp_path / "averaged", replace(wild, average=6))
        assert (result.averaged, result.best_step) == (6, result.steps)
        assert result.best_loss < without.best_loss
        torch.testing.assert_close(flat(averaged), torch.stack(alone[-6:]).mean(0))
        assert result.best_loss == pytest.approx(valid_loss(averaged), abs=1e-5)

    def test_where_it_is_not_better_the_best_stays(self, tmp_path: Path) -> None:
        falling = replace(OPTIONS, epochs=1.0, validations=3)
        best, without = train(tmp_path / "plain", falling)
        assert without.best_step == without.steps
        kept, result = train(tmp_path / "averaged", replace(falling, average=3))
        assert (result.averaged, result.best_loss) == (0, without.best_loss)
        assert same_weights(kept, best)


def flat(trained: LstmNetwork) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in trained.parameters()])


def valid_loss(trained: LstmNetwork) -> float:
    """Mean loss on the validation text, nats a token."""
    model = NeuralLanguageModel("lstm", trained, VOCABULARY, "as-is")
    return float(-model.score_tokens([VALID[index] for index in range(len(VALID))]).sum() / (VALID.lengths + 1).sum())


class TestNotFinite:
    def test_a_loss_that_overflows_is_told_and_the_older_checkpoint_stays(self, tmp_path: Path) -> None:
        def poison(progress: TrainingProgress) -> None:
            if progress.step == 9:
                with torch.no_grad():
                    trained.output.bias[3] = math.nan

        trained = network()
        with pytest.raises(InputError, match="the training loss is no longer finite after 9 steps") as error:
            train(tmp_path, report=poison, trained=trained)
        assert "lower the learning rate (0.01) or clip the gradient (1.0)" in error.value.message
        checkpoint = Checkpoint.read(tmp_path / CHECKPOINT_FILE)
        assert checkpoint.facts["step"] == 8
        assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values() if tensor.is_floating_point())

    def test_a_gradient_that_is_not_finite(self, tmp_path: Path) -> None:
        trained = network()
        trained.output.bias.register_hook(lambda gradient: gradient * math.inf)
        with pytest.raises(InputError, match="the gradient is no longer finite after 0 steps"):
            train(tmp_path, trained=trained)

    def test_a_validation_loss_that_is_not(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(training_module._Run, "validation_loss", lambda run: math.nan)
        with pytest.raises(InputError, match="the validation loss is no longer finite after 4 steps"):
            train(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0), ("epochs", math.inf), ("epochs", math.nan), ("batch_tokens", -1), ("bptt", 0), ("decay", 0.0),
        ("learning_rate", 0.0), ("validations", 0), ("clip", -1.0), ("patience", -1), ("weight_decay", math.nan),
        ("warmup", 1.5), ("optimizer", "adam"), ("schedule", "steps"), ("context", "words"), ("precision", "float16"),
        ("accumulate", 0), ("ema", 1.0), ("ema", -0.1), ("average", 1), ("average", -2), ("initial_range", -0.1),
        ("decay_after", -1.0), ("seed", -1), ("seed", 1 << 63), ("short_windows", -0.1), ("short_windows", 1.1),
        ("input_noise", -0.1), ("input_noise", 1.1), ("epsilon", 0.0),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(field: str, value: Any) -> None:
    with pytest.raises(InputError, match="expected") as error:
        TrainingOptions(**{field: value})
    assert error.value.field == field


class TestFolder:
    """From text files to a model folder."""

    @pytest.fixture
    def texts(self, tmp_path: Path) -> TextOptions:
        random = np.random.default_rng(3)
        lines = [" ".join(f"w{word}" for word in random.integers(9, size=5)) for _ in range(80)]
        (tmp_path / "train.txt").write_text("\n".join(lines[:60]) + "\n")
        (tmp_path / "valid.txt").write_text("\n".join(lines[60:]) + "\n")
        return TextOptions((tmp_path / "train.txt",), tmp_path / "valid.txt", normalizer="as-is", vocabulary="words")

    def train(self, texts: TextOptions, folder: Path, options: TrainingOptions = OPTIONS, **more: Any) -> Any:
        return train_model("lstm", LstmConfig(1, embedding=6, hidden=6, dropout=0.2), texts, options, folder, **more)

    def test_the_folder_holds_the_model_that_was_trained(self, texts: TextOptions, tmp_path: Path) -> None:
        model, result = self.train(texts, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        assert loaded.fingerprint() == model.fingerprint()
        assert loaded.normalizer == "as-is"
        kept = {"config.json", "model.safetensors", "words.txt", "training.jsonl"}
        assert kept <= set(os.listdir(tmp_path / "model"))
        assert not {CHECKPOINT_FILE, "corpus"} & set(os.listdir(tmp_path / "model"))
        facts = json.loads((tmp_path / "model" / "config.json").read_text())["training"]
        assert (facts["sentences"], facts["words"], facts["best_loss"]) == (60, 300, result.best_loss)
        assert facts["options"]["learning_rate"] == OPTIONS.learning_rate

    @pytest.mark.parametrize("step", [2, 11])
    def test_killed_and_taken_up_it_is_the_same_model(self, texts: TextOptions, tmp_path: Path, step: int) -> None:
        with pytest.raises(Killed):
            self.train(texts, tmp_path / "killed", report=killed_at(step))
        killed, _ = self.train(texts, tmp_path / "killed")
        whole, _ = self.train(texts, tmp_path / "whole")
        assert killed.fingerprint() == whole.fingerprint()
        assert curve(tmp_path / "killed") == curve(tmp_path / "whole")

    def test_killed_while_the_model_is_written_it_is_taken_up_too(
        self, texts: TextOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*arguments: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr("asr_lm.lm.neural.write_config", killed)
            with pytest.raises(Killed):
                self.train(texts, tmp_path / "killed")
        (tmp_path / "killed" / "words.txt").unlink()  # had it been killed a moment earlier
        with pytest.raises(InputError, match="not a trained model"):
            load_model(tmp_path / "killed")
        killed_model, _ = self.train(texts, tmp_path / "killed")
        whole, _ = self.train(texts, tmp_path / "whole")
        assert killed_model.fingerprint() == whole.fingerprint()
        names = [sorted(os.listdir(tmp_path / folder)) for folder in ("killed", "whole")]
        assert names[0] == names[1]

    def test_a_finished_model_is_not_overwritten(self, texts: TextOptions, tmp_path: Path) -> None:
        model, _ = self.train(texts, tmp_path / "model")
        with pytest.raises(InputError, match="holds a trained model already"):
            self.train(texts, tmp_path / "model", replace(OPTIONS, seed=2))
        assert load_model(tmp_path / "model").fingerprint() == model.fingerprint()

    def test_another_vocabulary_is_not_taken_from_an_unfinished_training(
        self, texts: TextOptions, tmp_path: Path
    ) -> None:
        with pytest.raises(Killed):
            self.train(texts, tmp_path / "model", report=killed_at(9))
        with pytest.raises(InputError, match=r"an unfinished training with another .*text.* lies here"):
            self.train(replace(texts, vocabulary_size=8), tmp_path / "model")

    def test_no_validation_text(self, texts: TextOptions, tmp_path: Path) -> None:
        (tmp_path / "empty.txt").write_text("\n \n")
        with pytest.raises(InputError, match="no sentence in the validation text") as error:
            self.train(replace(texts, valid=tmp_path / "empty.txt"), tmp_path / "model")
        assert error.value.file == str(tmp_path / "empty.txt")
        with pytest.raises(InputError, match="a neural model needs a validation text"):
            self.train(replace(texts, valid=None), tmp_path / "model")
        with pytest.raises(InputError, match="no such file"):
            self.train(replace(texts, valid=tmp_path / "none.txt"), tmp_path / "model")
        assert not (tmp_path / "model").exists()
