"""Muon: momentum whose step is orthogonal, for the matrices between the layers of a network.

Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein: Muon, an optimizer for hidden layers in neural networks (2024).
The step of a matrix is its momentum M = U S Vᵀ with every singular value made 1, U Vᵀ, which a Newton-Schulz iteration
approximates. Rare directions are learnt as fast as frequent ones, so that a transformer learns from far fewer tokens.

As in Liu et al.: Muon is scalable for LLM training (2025), section 2.2, the step is scaled to the size of one of
AdamW's, so that one learning rate serves both. Embeddings, output layers and vectors take AdamW.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asr_lm.lm.output.layer import OutputLayer
from asr_lm.lm.precision import Precision

_MOMENTUM = 0.95
_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ADAMW_SIZE = 0.2
"""Root mean square of a step of AdamW, in units of the learning rate (Liu et al. 2025)."""


class Muon(torch.optim.AdamW):
    """AdamW but for the groups of parameters with ``orthogonal`` set, matrices ``[m, n]`` that take Muon's step.

    ``orthogonal`` is the number of matrices ``[m / orthogonal, n]`` that such a parameter holds, one above the other;
    each takes a step of its own. Queries and keys, whose gradient is small beside that of the values, would else hardly
    learn: the step as a whole is orthogonal, and mostly the values'.

    The moments are named as AdamW's are. The iteration converges to the same digits in bfloat16 (Jordan et al.).

    Args:
        groups: parameters, as for AdamW.
        precision: what the iteration computes in.
        options: of AdamW.
    """

    def __init__(self, groups: list[dict[str, Any]], *, precision: Precision = "float32", **options: Any) -> None:
        super().__init__(groups, **options)
        self._type = torch.bfloat16 if precision == "bfloat16" else torch.float32

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; the gradients of the matrices are gone afterwards."""
        if closure is not None:
            raise ValueError("a step has no closure")
        for group in self.param_groups:
            if group.get("orthogonal"):
                for parameter in group["params"]:
                    self._step_matrix(parameter, group)
        return super().step()

    def _step_matrix(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, parameter.grad = parameter.grad, None  # AdamW leaves a parameter without gradient alone
        if gradient is None:
            return
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)  # AdamW looks for one when it is restored
            state["exp_avg"] = torch.zeros_like(parameter)
        momentum = state["exp_avg"].lerp_(gradient, 1 - _MOMENTUM)
        ahead = gradient.lerp(momentum, _MOMENTUM)  # Nesterov
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        for part, step in zip(*(tensor.chunk(group["orthogonal"]) for tensor in (parameter, ahead)), strict=True):
            size = _ADAMW_SIZE * max(part.shape) ** 0.5
            part.add_(orthogonal(step.to(self._type)), alpha=-group["lr"] * size)


def hidden_matrices(network: nn.Module) -> dict[str, int]:
    """The parameters of a network that are matrices and belong to no embedding and no output layer.

    Returns:
        By name, how many matrices each holds, one above the other: the gates of torch's recurrent layers, and what a
        module says of its layers in its attribute ``stacked``.
    """
    words = [module for module in network.modules() if isinstance(module, nn.Embedding | OutputLayer)]
    known = {id(parameter) for module in words for parameter in module.parameters()}
    return {
        name: _stacked(network, name)
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter.dim() == 2 and id(parameter) not in known
    }


def _stacked(network: nn.Module, name: str) -> int:
    module, _, parameter = name.rpartition(".")
    layer = network.get_submodule(module)
    if isinstance(layer, nn.RNNBase):
        return len(layer.get_parameter(parameter)) // layer.hidden_size
    owner, _, layer_name = module.rpartition(".")
    counts: dict[str, int] = getattr(network.get_submodule(owner), "stacked", {})
    return counts.get(layer_name, 1)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix ``[m, n]`` with the singular vectors of ``matrix``, and singular values near 1 (0.7 to 1.2)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
