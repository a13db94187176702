"""The training loop of every neural model.

One loop for single sentences and for token streams with carried state: AdamW or SGD, a learning-rate schedule,
gradient clipping, early stop on validation text, a curve in ``training.jsonl``, and checkpoints from which a killed
run goes on as if nothing had happened (on a CPU, bit for bit).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_lm.errors import InputError
from asr_lm.files import write_text
from asr_lm.lm.batches import IGNORED, Batch, BatchSource
from asr_lm.lm.checkpoint import CHECKPOINT_FILE, Checkpoint, optimizer_tensors, restore_optimizer
from asr_lm.lm.neural import Network, State
from asr_lm.lm.options import TrainingOptions

CURVE_FILE = "training.jsonl"


@dataclass
class Progress:
    """What a progress display may show."""

    step: int
    steps: int
    tokens: int
    tokens_per_second: float
    seconds_left: float
    train_loss: float
    valid_loss: float | None
    learning_rate: float


@dataclass(frozen=True)
class TrainingResult:
    """Attributes: best validation loss (nats a token) and its step; steps and tokens trained; seconds in all runs."""

    best_loss: float
    best_step: int
    steps: int
    tokens: int
    seconds: float
    stopped_early: bool


def train_network(
    network: Network,
    train: BatchSource,
    valid: BatchSource,
    options: TrainingOptions,
    folder: Path,
    *,
    identity: dict[str, Any],
    report: Callable[[Progress], None] = lambda progress: None,
    checkpoint_seconds: float = 60.0,
) -> TrainingResult:
    """Train ``network`` in place; on return it holds the weights of the best validation.

    Args:
        network: freshly initialised; replaced by the checkpoint's weights when ``folder`` has one.
        train, valid: batches.
        options: how.
        folder: gets ``checkpoint.safetensors`` and ``training.jsonl``.
        identity: whatever a checkpoint must agree on to be taken up (data digests, sizes).
        report: called after every step.
        checkpoint_seconds: time between checkpoints.

    Raises:
        InputError: the folder holds the checkpoint of another training, the loss is no longer finite.
    """
    run = _Run(network, train, valid, options, folder, identity)
    run.resume()
    last_saved = time.monotonic()
    try:
        for progress in run.steps():
            report(progress)
            if time.monotonic() - last_saved > checkpoint_seconds:
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
    ) -> None:
        self.network, self.train, self.valid, self.options, self.folder = network, train, valid, options, folder
        self.identity = {"options": asdict(options), **identity}
        self.optimizer = _make_optimizer(network, options)
        self.total = max(1, round(options.epochs * train.count(0)))
        self.interval = max(1, self.total // options.validations)
        self.step = self.epoch = self.position = self.tokens = 0
        self.loss_sum, self.loss_tokens = 0.0, 0
        self.seconds = 0.0
        self.factor = 1.0
        self.best_loss, self.best_step, self.failures = math.inf, 0, 0
        self.best: dict[str, Tensor] = {}
        self.state: State | None = None
        self.curve: list[dict[str, Any]] = []

    def steps(self) -> Iterator[Progress]:
        """Train to the end, or until validation says stop."""
        since, tokens_before = time.monotonic(), self.tokens
        begun = self.seconds
        while self.step < self.total and not self.exhausted:
            for batch in self.train.batches(self.epoch, self.position):
                self._update(batch)
                self.seconds = begun + time.monotonic() - since
                if self.step % self.interval == 0 or self.step == self.total:
                    self._validate()
                rate = (self.tokens - tokens_before) / max(time.monotonic() - since, 1e-9)
                yield self._progress(rate)
                if self.step >= self.total or self.exhausted:
                    return
            self.epoch, self.position, self.state = self.epoch + 1, 0, None

    @property
    def exhausted(self) -> bool:
        return 0 < self.options.patience <= self.failures

    def _update(self, batch: Batch) -> None:
        self.network.train()
        rate = self.options.learning_rate * self.factor * learning_rate_factor(self.step, self.total, self.options)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, self.state = self._loss(batch, self.state if self.train.carries_state else None)
        count = batch.tokens
        (loss / count).backward()
        if self.options.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_sum += float(loss.detach())
        self.loss_tokens += count
        self.tokens += count
        self.step += 1
        self.position += 1

    def _loss(self, batch: Batch, state: State | None) -> tuple[Tensor, State | None]:
        """Summed loss (nats) and the detached state after the batch."""
        device = self.network.device
        inputs, targets = batch.inputs.to(device), batch.targets.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16()):
            hidden, state = self.network(inputs, state)
            kept = targets != IGNORED
            loss = self.network.output.nll(hidden[kept], targets[kept]).sum()
        return loss, None if state is None else tuple(tensor.detach() for tensor in state)

    def _bfloat16(self) -> bool:
        return self.options.precision == "bfloat16" and self.network.device.type == "cuda"

    def _validate(self) -> None:
        train_loss = self.loss_sum / max(self.loss_tokens, 1)
        if not math.isfinite(train_loss):
            raise InputError(
                f"the training loss is no longer finite at step {self.step}; lower the learning rate "
                f"({self.options.learning_rate}) or clip the gradient"
            )
        valid_loss = self.validation_loss()
        if valid_loss < self.best_loss:
            self.best_loss, self.best_step, self.failures = valid_loss, self.step, 0
            self.best = {name: value.detach().clone() for name, value in self.network.named_parameters()}
        else:
            self.failures += 1
            self.factor *= self.options.decay if self.options.schedule == "plateau" else 1.0
        self.curve.append(
            {
                "step": self.step,
                "epoch": round(self.step / self.train.count(0), 4),
                "tokens": self.tokens,
                "train_loss": train_loss,
                "valid_loss": valid_loss,
                "valid_perplexity": math.exp(min(valid_loss, 50.0)),
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "seconds": round(self.seconds, 1),
            }
        )
        self.loss_sum, self.loss_tokens = 0.0, 0
        self.save()

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Loss on the validation batches, nats a token."""
        self.network.eval()
        total, count, state = 0.0, 0, None
        for batch in self.valid.batches(0):
            loss, state = self._loss(batch, state if self.valid.carries_state else None)
            total += float(loss)
            count += batch.tokens
        return total / count

    def _progress(self, rate: float) -> Progress:
        left = (self.total - self.step) * self.tokens / max(self.step, 1) / max(rate, 1e-9)
        valid_loss = self.curve[-1]["valid_loss"] if self.curve else None
        recent = self.loss_sum / self.loss_tokens if self.loss_tokens else self.curve[-1]["train_loss"]
        learning_rate = self.optimizer.param_groups[0]["lr"]
        return Progress(self.step, self.total, self.tokens, rate, left, recent, valid_loss, learning_rate)

    def save(self) -> None:
        """Write the curve and a checkpoint."""
        tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in self.network.named_parameters()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= optimizer_tensors(self.optimizer)
        tensors |= {f"state.{index}": tensor for index, tensor in enumerate(self.state or ())}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.network.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.network.device)
        facts = {name: getattr(self, name) for name in _COUNTERS}
        Checkpoint(tensors, {**facts, "identity": self.identity}).write(self.folder / CHECKPOINT_FILE)
        self._write_curve()

    def resume(self) -> None:
        """Take up the folder's checkpoint, if it has one."""
        path = self.folder / CHECKPOINT_FILE
        if not path.exists():
            return
        checkpoint = Checkpoint.read(path)
        self._check_identity(checkpoint.facts["identity"], path)
        for name in _COUNTERS:
            setattr(self, name, checkpoint.facts[name])
        tensors = checkpoint.tensors
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(tensors[f"network.{name}"])
        device = self.network.device
        self.best = {name[5:]: value.to(device) for name, value in tensors.items() if name.startswith("best.")}
        restore_optimizer(self.optimizer, tensors)
        states = [tensors[f"state.{index}"].to(device) for index in range(8) if f"state.{index}" in tensors]
        self.state = tuple(states) or None
        torch.set_rng_state(tensors["random.cpu"])
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], device)

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
        write_text(self.folder / CURVE_FILE, "".join(json.dumps(point) + "\n" for point in self.curve))

    def finish(self) -> TrainingResult:
        """Put the best weights into the network."""
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(self.best[name])
        stopped = self.step < self.total
        return TrainingResult(self.best_loss, self.best_step, self.step, self.tokens, self.seconds, stopped)


_COUNTERS = (
    *("step", "epoch", "position", "tokens", "loss_sum", "loss_tokens", "seconds"),
    *("factor", "best_loss", "best_step", "failures", "curve"),
)


def learning_rate_factor(step: int, total: int, options: TrainingOptions) -> float:
    """Share of the highest learning rate at a step (from 0): linear warm-up, then the schedule."""
    warmup = options.warmup * total
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(total - warmup, 1)
    if options.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if options.schedule == "linear" else 1.0


def _make_optimizer(network: Network, options: TrainingOptions) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    if options.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
    decayed = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=options.weight_decay, betas=(0.9, 0.98))
