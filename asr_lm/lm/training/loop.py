"""The training loop of every neural model.

One loop for single sentences and for token streams with carried state: AdamW or SGD, a learning-rate schedule,
gradient clipping and accumulation, averages of the weights, early stop on validation text, a curve in
``training.jsonl``, and checkpoints from which a killed run goes on as if nothing had happened (on a CPU, bit for bit).
Several processes may train together: each takes its share of every step.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_lm.batched import batched
from asr_lm.counted import counted
from asr_lm.errors import InputError
from asr_lm.files import make_folder, write_text
from asr_lm.lm.neural import Network, State
from asr_lm.lm.precision import Precision
from asr_lm.lm.training.batches import Batch, BatchSource
from asr_lm.lm.training.checkpoint import (
    CHECKPOINT_FILE,
    Checkpoint,
    damaged_checkpoint,
    optimizer_tensors,
    restore_optimizer,
)
from asr_lm.lm.training.counters import Counters
from asr_lm.lm.training.distributed import ALONE, Processes
from asr_lm.lm.training.interrupts import uninterrupted
from asr_lm.lm.training.kept_weights import KeptWeights, Weights
from asr_lm.lm.training.optimizers import learning_rate_factor, make_optimizer
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import STILL_LEARNING, TrainingProgress, TrainingResult
from asr_lm.lm.training.trial import quicker_precision

CURVE_FILE = "training.jsonl"


def train_network(
    network: Network,
    train: BatchSource,
    valid: BatchSource,
    options: TrainingOptions,
    folder: Path,
    *,
    identity: dict[str, Any],
    report: Callable[[TrainingProgress], None] = lambda progress: None,
    checkpoint_seconds: float = 60.0,
    processes: Processes = ALONE,
    tokens_per_word: float | None = None,
    initial_counts: bool = False,
) -> TrainingResult:
    """Train ``network`` in place; on return it holds the weights of the best validation.

    Args:
        network: freshly initialised; replaced by the checkpoint's weights when ``folder`` has one.
        train, valid: batches; this process's share of them where there are several.
        options: how.
        folder: gets ``checkpoint.safetensors`` and ``training.jsonl``.
        identity: whatever a checkpoint must agree on to be taken up (data digests, sizes).
        report: called after every step.
        checkpoint_seconds: time between checkpoints.
        processes: those that train together, with the same network; the first of them writes.
        tokens_per_word: of the validation text, ``</s>`` a token and a word, from which the curve gets the perplexity
            of a word; None where the loss is none of tokens.
        initial_counts: validate the initial weights, too, and keep them where none are better.

    Raises:
        InputError: the folder holds a damaged checkpoint or that of another training, it cannot be written, the loss
            is no longer finite.
        KeyboardInterrupt: Ctrl-C, once the step under way is done and a checkpoint written.
    """
    make_folder(folder)
    run = _Run(network, train, valid, options, folder, identity, processes, tokens_per_word)
    run.resume()
    if initial_counts:
        run.judge_initial()
    last_saved = time.monotonic()
    with processes.noticing_interrupts() as interrupts:
        try:
            for progress in run.steps():
                report(progress)
                due = time.monotonic() - last_saved > checkpoint_seconds
                due, interrupted = processes.agree(due, interrupts.noted)
                if interrupted:
                    raise KeyboardInterrupt
                if due:
                    run.save()
                    last_saved = time.monotonic()
        except KeyboardInterrupt:
            run.save()
            raise
    return run.finish()


class _Run:
    """State of one training."""

    def __init__(
        self,
        network: Network,
        train: BatchSource,
        valid: BatchSource,
        options: TrainingOptions,
        folder: Path,
        identity: dict[str, Any],
        processes: Processes = ALONE,
        tokens_per_word: float | None = None,
    ) -> None:
        self.network, self.train, self.valid, self.options, self.folder = network, train, valid, options, folder
        self.processes, self.tokens_per_word = processes, tokens_per_word
        self.precision = self._choose_precision()
        settings = {**asdict(options), "precision": self.precision}
        self.identity = {"options": settings, **identity, "processes": processes.count}
        self.optimizer = make_optimizer(network, options, self.precision)
        self.epoch_steps = -(-train.count(0) // options.accumulate)
        self.total = max(1, round(options.epochs * self.epoch_steps))
        self.interval = max(1, self.total // options.validations)
        self.counters = Counters()
        self.kept = KeptWeights(network, options.ema, options.average)
        self.averaged = 0
        self.state: State | None = None

    def _choose_precision(self) -> Precision:
        """That of the unfinished training in the folder, else what was asked for, or is quicker in the first process.

        A training goes on as it began, even where another processor takes it up.
        """
        if self.options.precision != "auto":
            return self.options.precision
        begun = _precision_of(self.folder / CHECKPOINT_FILE)
        if begun is None and self.processes.is_first:
            self.network.train()
            begun = quicker_precision(self.network, next(iter(self.train.batches(0))))
        found: Precision = self.processes.gather(begun)[0]
        return found

    def steps(self) -> Iterator[TrainingProgress]:
        """Train to the end, or until validation says stop."""
        since, tokens_before = time.monotonic(), self.counters.tokens
        begun = self.counters.seconds
        if self._validation_is_due():
            self._validate()  # which an interrupted run did not finish
        while self.counters.step < self.total and not self.exhausted:
            for batches in batched(
                self.train.batches(self.counters.epoch, self.counters.position), self.options.accumulate
            ):
                with uninterrupted():
                    self._update(batches)
                self.counters.seconds = begun + time.monotonic() - since
                if self._validation_is_due():
                    self._validate()
                rate = (self.counters.tokens - tokens_before) / max(time.monotonic() - since, 1e-9)
                yield self._progress(rate)
                if self.counters.step >= self.total or self.exhausted:
                    return
            with uninterrupted():
                self.counters.epoch, self.counters.position, self.state = self.counters.epoch + 1, 0, None

    @property
    def exhausted(self) -> bool:
        return 0 < self.options.patience <= self.counters.failures

    def _validation_is_due(self) -> bool:
        now = self.counters
        done = now.curve[-1]["step"] if now.curve else 0
        return now.step > done and (now.step % self.interval == 0 or now.step == self.total)

    def _update(self, batches: Sequence[Batch]) -> None:
        """One step, on the mean loss over all units of the batches of all processes."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(self.counters.step)
        units, tokens = sum(batch.units for batch in batches), sum(batch.tokens for batch in batches)
        count, tokens = map(int, self.processes.total(float(units), float(tokens)))
        (loss,) = self.processes.total(sum(self._learn(batch, count) for batch in batches))
        self._check_finite(loss, "training loss")
        self.processes.add_gradients(self.network.parameters())
        if self.options.clip:
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
            self._check_finite(float(norm), "gradient")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.kept.move_average(self.counters.step)
        self.counters.loss_sum += loss
        self.counters.loss_tokens += count
        self.counters.tokens += tokens
        self.counters.step += 1
        self.counters.position += len(batches)

    def _learn(self, batch: Batch, count: int) -> float:
        """Add the gradient of a batch in a step of ``count`` units; its summed loss."""
        if not batch.units:  # another process has the last batch of the epoch
            return 0.0
        loss, self.state = self._loss(batch, self.state if self.train.carries_state else None)
        (loss / count).backward()
        return float(loss.detach())

    def _learning_rate(self, step: int) -> float:
        return self.options.learning_rate * self.counters.factor * learning_rate_factor(step, self.total, self.options)

    def _loss(self, batch: Batch, state: State | None) -> tuple[Tensor, State | None]:
        """Summed loss (nats) and the detached state after the batch."""
        device = self.network.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            loss, state = self.network.loss(batch.to(device), state)
        return loss, None if state is None else tuple(tensor.detach() for tensor in state)

    def _validate(self) -> None:
        with self.kept.in_use():
            valid_loss = self.validation_loss()
        self._check_finite(valid_loss, "validation loss")
        with uninterrupted():
            self._record(valid_loss)
        self.save()

    def judge_initial(self) -> None:
        """Let the initial weights be the best until others are better."""
        now = self.counters
        if not now.step and math.isinf(now.best_loss):
            now.best_loss = self.validation_loss()
            self._check_finite(now.best_loss, "validation loss")
            self.kept.keep_best()

    def _record(self, valid_loss: float) -> None:
        now = self.counters
        learning_rate = self._learning_rate(now.step - 1)
        if valid_loss < now.best_loss:
            now.best_loss, now.best_step, now.failures = valid_loss, now.step, 0
            self.kept.keep_best()
        else:
            now.failures += 1
            now.factor *= self.options.decay if self.options.schedule == "plateau" else 1.0
        self.kept.keep_recent()
        now.curve.append(
            {
                "step": now.step,
                "epoch": round(now.step / self.epoch_steps, 4),
                "tokens": now.tokens,
                "train_loss": now.loss_sum / now.loss_tokens,
                "valid_loss": valid_loss,
                **self._perplexities(valid_loss),
                "learning_rate": learning_rate,
                "seconds": round(now.seconds, 1),
            }
        )
        now.loss_sum, now.loss_tokens = 0.0, 0

    def _perplexities(self, valid_loss: float) -> dict[str, float]:
        """Of a token, and of a word where that is known."""
        if self.network.counts_errors:
            return {}
        pseudo = "pseudo_" if self.network.pseudo else ""
        figures = {f"valid_{pseudo}perplexity": perplexity(valid_loss)}
        if self.tokens_per_word is not None:
            figures[f"valid_word_{pseudo}perplexity"] = perplexity(valid_loss * self.tokens_per_word)
        return figures

    def _check_finite(self, value: float, name: str) -> None:
        if not math.isfinite(value):
            raise InputError(
                f"the {name} is no longer finite after {counted(self.counters.step, 'step')}; lower the learning rate "
                f"({self.options.learning_rate}) or clip the gradient ({self.options.clip})"
            )

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Mean loss over the units of the validation batches: nats a token, or what the network counts."""
        self.network.eval()
        total, count, state = 0.0, 0, None
        for batch in self.valid.batches(0):
            if units := batch.units:
                loss, state = self._loss(batch, state if self.valid.carries_state else None)
                total += float(loss)
                count += units
        total, units_of_all = self.processes.total(total, count)
        return total / units_of_all

    def _progress(self, rate: float) -> TrainingProgress:
        now = self.counters
        left = (self.total - now.step) * now.tokens / max(now.step, 1) / max(rate, 1e-9)
        valid_loss = now.curve[-1]["valid_loss"] if now.curve else None
        recent = now.loss_sum / now.loss_tokens if now.loss_tokens else now.curve[-1]["train_loss"]
        learning_rate = self._learning_rate(now.step - 1)
        return TrainingProgress(
            now.step,
            self.total,
            now.tokens,
            rate,
            left,
            recent,
            valid_loss,
            learning_rate,
            self.network.pseudo,
            self.tokens_per_word,
            self.precision,
            self.network.counts_errors,
        )

    def save(self) -> None:
        """Write the curve and a checkpoint."""
        parts = self.processes.gather(self._own_tensors())
        if not self.processes.is_first:
            return
        tensors = self.kept.tensors()
        tensors |= optimizer_tensors(self.optimizer)
        for rank, own in enumerate(parts):
            tensors |= {_owned(name, rank): value for name, value in own.items()}
        facts = {**self.counters.to_json(), "identity": self.identity}
        Checkpoint(tensors, facts).write(self.folder / CHECKPOINT_FILE)
        self._write_curve()

    def _own_tensors(self) -> Weights:
        """What every process has for itself: the carried state and the random number generators."""
        tensors = {f"state.{index}": tensor.cpu() for index, tensor in enumerate(self.state or ())}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.network.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.network.device)
        return tensors

    def resume(self) -> None:
        """Take up the folder's checkpoint, if it has one."""
        path = self.folder / CHECKPOINT_FILE
        for half_written in self.folder.glob(f".{CHECKPOINT_FILE}.*.partial"):  # by a run that was killed
            half_written.unlink(missing_ok=True)
        if not path.exists():
            return
        checkpoint = Checkpoint.read(path)
        self._check_identity(checkpoint.facts.get("identity", {}), path)
        try:
            self._restore(checkpoint)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise damaged_checkpoint(path, error) from None

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors, device = checkpoint.tensors, self.network.device
        self.counters = Counters.from_json(checkpoint.facts)
        has_best = not math.isinf(self.counters.best_loss)
        self.kept.restore(tensors, has_best=has_best, validations=len(self.counters.curve))
        restore_optimizer(self.optimizer, tensors)
        own = {name: _owned(name, self.processes.rank) for name in _OWN}
        # Copied, since where a tensor begins in memory may change the last bits of a product.
        self.state = tuple(tensors[own[name]].to(device, copy=True) for name in _STATES if own[name] in tensors) or None
        torch.set_rng_state(tensors[own["random.cpu"]])
        if device.type == "cuda" and own["random.cuda"] in tensors:
            torch.cuda.set_rng_state(tensors[own["random.cuda"]], device)

    def _check_identity(self, found: dict[str, Any], path: Path) -> None:
        expected = json.loads(json.dumps(self.identity))
        changed = [key for key in sorted({*found, *expected}) if found.get(key) != expected.get(key)]
        if "options" in changed:
            changed.remove("options")
            old, new = found.get("options", {}), expected["options"]
            changed += [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        if changed:
            raise InputError(
                f"an unfinished training with another {', '.join(changed)} lies here; "
                "give the same settings to go on with it, or remove it",
                file=path,
            )

    def _write_curve(self) -> None:
        write_text(
            self.folder / CURVE_FILE,
            "".join(json.dumps(point, allow_nan=False) + "\n" for point in self.counters.curve),
        )

    def finish(self) -> TrainingResult:
        """Put the best weights into the network, or the average of the last where it is better."""
        self.kept.put(self.kept.best)
        still_learning = self._is_still_learning()
        self._try_average()
        stopped = self.counters.step < self.total
        counts = (self.counters.best_step, self.counters.step, self.counters.tokens, self.counters.seconds)
        averaged, words = self.averaged, self.tokens_per_word
        best_loss, precision = self.counters.best_loss, self.precision
        return TrainingResult(best_loss, *counts, stopped, averaged, words, precision, still_learning)

    def _is_still_learning(self) -> bool:
        now = self.counters
        if now.step < self.total or now.best_step < now.step:
            return False
        # The last steps are small where the learning rate falls to nothing: what counts is the second half.
        before = [point["valid_loss"] for point in now.curve[: len(now.curve) // 2]]
        return not before or now.best_loss < min(before) - STILL_LEARNING

    def _try_average(self) -> None:
        if not (average := self.kept.mean_of_recent()):
            return
        self.kept.put(average)
        loss = self.validation_loss()
        if loss < self.counters.best_loss:
            self.averaged = len(self.kept.recent)
            self.counters.best_loss, self.counters.best_step = loss, self.counters.step
        else:
            self.kept.put(self.kept.best)


def perplexity(loss: float) -> float:
    """The perplexity of a mean loss in nats, or one so high that it says nothing."""
    return math.exp(min(loss, 50.0))


def _precision_of(path: Path) -> Precision | None:
    """What the training of a checkpoint computes in; None where there is no checkpoint."""
    if not path.exists():
        return None
    identity = Checkpoint.read(path).facts.get("identity")
    options = identity.get("options") if isinstance(identity, dict) else None
    return "bfloat16" if isinstance(options, dict) and options.get("precision") == "bfloat16" else "float32"


_STATES = tuple(f"state.{index}" for index in range(8))
_OWN = (*_STATES, "random.cpu", "random.cuda")


def _owned(name: str, rank: int) -> str:
    """What a checkpoint calls a tensor that every process has for itself."""
    return f"process.{rank}.{name}" if rank else name
