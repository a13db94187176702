"""The optimiser of a network and its schedule of learning rates."""

from __future__ import annotations

import math
from typing import Any

import torch

from asr_lm.lm.neural import Network
from asr_lm.lm.precision import Precision
from asr_lm.lm.training.muon import Muon, hidden_matrices
from asr_lm.lm.training.options import TrainingOptions


def learning_rate_factor(step: int, total: int, options: TrainingOptions) -> float:
    """Share of the highest learning rate at a step (from 0): linear warm-up, then the schedule."""
    warmup = options.warmup * total
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(total - warmup, 1)
    if options.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if options.schedule == "step":
        epoch = math.floor(step * options.epochs / total)
        return float(options.decay ** max(0.0, epoch + 1 - options.decay_after))
    return 1 - done if options.schedule == "linear" else 1.0


def make_optimizer(network: Network, options: TrainingOptions, precision: Precision) -> torch.optim.Optimizer:
    """The optimiser of a network, its parameters in groups of one weight decay."""
    matrices = hidden_matrices(network) if options.optimizer == "muon" else {}
    alike: dict[tuple[float, int], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            # An embedding's rows meet AdamW's decay at every step and a gradient only where their word occurs.
            is_decayed = name in matrices if matrices else parameter.dim() > 1 or options.optimizer == "sgd"
            decay = options.weight_decay if is_decayed else 0.0
            alike.setdefault((decay, matrices.get(name, 0)), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": members, "weight_decay": decay, "orthogonal": count} for (decay, count), members in alike.items()
    ]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate)
    # Fused is one pass over the moments: with a large vocabulary the separate ones took half of a step on a CPU.
    settings: dict[str, Any] = {"lr": options.learning_rate, "betas": (0.9, 0.98), "eps": options.epsilon}
    if matrices:
        return Muon(groups, precision=precision, fused=True, **settings)
    return torch.optim.AdamW(groups, fused=True, **settings)
