"""The weights that a training keeps beside those of its network: the best ones, their moving average, the last ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from asr_lm.lm.neural import Network

Weights = dict[str, Tensor]
"""Tensors by name of the parameter."""

_NETWORK = "network."


class KeptWeights:
    """Copies of what a network learns.

    Args:
        network: whose parameters, those that learn.
        ema: decay of the moving average; 0: none.
        average: validations whose weights are kept, to be averaged at the end.

    Attributes:
        best: of the best validation; empty before the first.
        moving: their moving average; empty where there is none.
        recent: of the last validations.
    """

    def __init__(self, network: Network, ema: float, average: int) -> None:
        self._network, self._ema, self._average = network, ema, average
        self.best: Weights = {}
        self.moving: Weights = self._copied() if ema else {}
        self.recent: list[Weights] = []

    @torch.no_grad()
    def move_average(self, step: int) -> None:
        """Move the average after a step, counted from 0."""
        # Early on the first, random weights must not count for long.
        decay = min(self._ema, (1 + step) / (10 + step))
        for name, parameter in self._learning() if self.moving else ():
            self.moving[name].lerp_(parameter, 1 - decay)

    def keep_best(self) -> None:
        """Keep the weights that were validated, the moving average where there is one, as the best ones."""
        self.best = self._judged()

    def keep_recent(self) -> None:
        """Keep them among those of the last validations."""
        if self._average:
            self.recent = [*self.recent, self._judged()][-self._average :]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Put the moving average into the network for a while; without one leave it as it is."""
        if not self.moving:
            yield
            return
        before = self._copied()
        try:
            self.put(self.moving)
            yield
        finally:
            self.put(before)

    def mean_of_recent(self) -> Weights:
        """The mean of the weights of the last validations; empty where there are fewer than two."""
        if len(self.recent) < 2:
            return {}
        names = [name for name, _ in self._learning()]
        return {name: torch.stack([weights[name] for weights in self.recent]).mean(0) for name in names}

    @torch.no_grad()
    def put(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights into the network."""
        for name, parameter in self._learning():
            parameter.copy_(weights[name])

    def tensors(self) -> Weights:
        """Everything for a checkpoint, the network's own weights among it."""
        kept: dict[str, Mapping[str, Tensor]] = {
            _NETWORK: dict(self._learning()),
            "best.": self.best,
            "moving.": self.moving,
            **{f"recent.{number}.": weights for number, weights in enumerate(self.recent)},
        }
        return {prefix + name: value for prefix, weights in kept.items() for name, value in weights.items()}

    def restore(self, tensors: Mapping[str, Tensor], *, has_best: bool, validations: int) -> None:
        """Take up what :meth:`tensors` gave.

        Args:
            tensors: of the checkpoint.
            has_best: whether there was a best validation.
            validations: that there were so far.

        Raises:
            KeyError, ValueError: a tensor is missing or has another shape.
        """
        self.put(self._of(tensors, _NETWORK))
        self.best = self._of(tensors, "best.") if has_best else {}
        self.moving = self._of(tensors, "moving.") if self.moving else {}
        self.recent = [self._of(tensors, f"recent.{number}.") for number in range(min(validations, self._average))]

    def _of(self, tensors: Mapping[str, Tensor], prefix: str) -> Weights:
        """The tensors that are weights of the network, on its device."""
        weights = {}
        for name, parameter in self._learning():
            weights[name] = tensors[prefix + name].to(self._network.device)
            if weights[name].shape != parameter.shape:
                raise ValueError(f"{name} is {list(weights[name].shape)}, not {list(parameter.shape)}")
        return weights

    def _judged(self) -> Weights:
        return {name: value.clone() for name, value in self.moving.items()} or self._copied()

    def _copied(self) -> Weights:
        return {name: value.detach().clone() for name, value in self._learning()}

    def _learning(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters that training changes, by name."""
        return [(name, value) for name, value in self._network.named_parameters() if value.requires_grad]
