"""Which precision a training is quicker in: tried on its first batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asr_lm.lm.neural import Network
from asr_lm.lm.precision import Precision, resolve_precision
from asr_lm.lm.training.batches import Batch

_WORTH_IT = 1.1
"""How many times as fast a step must be in bfloat16."""

_ROUNDS = 2


def quicker_precision(network: Network, batch: Batch) -> Precision:
    """The precision in which the loss and the gradient of a batch take less time.

    Where a product alone is no quicker in bfloat16, nothing else is tried. Weights, gradients and random numbers are
    afterwards as they were.
    """
    if resolve_precision("auto", network) == "float32" or not batch.tokens:
        return "float32"
    with _as_before(network):
        times = [[_seconds(network, batch, half) for half in (False, True)] for _ in range(_ROUNDS)]
    slow, fast = (min(row[side] for row in times) for side in (0, 1))
    return "bfloat16" if slow >= _WORTH_IT * fast else "float32"


def _seconds(network: Network, batch: Batch, half: bool) -> float:
    device = network.device
    begin = time.perf_counter()
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        loss, _ = network.loss(batch.to(device))
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


@contextmanager
def _as_before(network: Network) -> Iterator[None]:
    """Put back the random numbers and leave no gradient behind."""
    on_gpu = [network.device] if network.device.type == "cuda" else []
    was_training = network.training
    with torch.random.fork_rng(on_gpu):
        yield
    network.train(was_training)
    network.zero_grad(set_to_none=True)
