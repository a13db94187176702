"""The fused loss of a softmax is the loss of a softmax, and so is its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asr_lm.lm.output.softmax_loss import softmax_nll

TYPES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}


def parts(dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(1)
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    return [torch.randn(*shape, dtype=kind, requires_grad=True) for shape in ((7, 6), (50, 6), (50,))]


def loss_and_gradients(loss: Tensor, given: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(0.5, 2, len(loss), dtype=loss.dtype)
    return [loss.detach(), *torch.autograd.grad((loss * weights).sum(), given)]


@pytest.mark.parametrize("dtype", TYPES)
def test_it_is_cross_entropy(dtype: torch.dtype) -> None:
    hidden, weight, bias = given = parts(dtype)
    targets = torch.arange(7)
    found = loss_and_gradients(softmax_nll(hidden, weight, bias, targets, dtype), given)
    logits = nn.functional.linear(hidden, weight, bias)
    expected = loss_and_gradients(nn.functional.cross_entropy(logits, targets, reduction="none"), given)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert float((one - other).norm() / other.norm()) < TYPES[dtype]


@pytest.mark.parametrize("dtype", TYPES)
def test_a_likely_target_keeps_its_gradient(dtype: torch.dtype) -> None:
    """Where p rounds to 1, what is left over is still there."""
    hidden = torch.tensor([[9.0], [-9.0]], dtype=torch.float64).requires_grad_()
    weight = torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)
    loss = softmax_nll(hidden, weight, torch.zeros(3, dtype=torch.float64), torch.tensor([0, 0]), dtype)
    (gradient,) = torch.autograd.grad(loss.sum(), hidden)
    exact = 2 / (torch.tensor([9.0, -9.0], dtype=torch.float64).exp() + 2)
    torch.testing.assert_close(-gradient[:, 0], exact, rtol=2e-2, atol=0)
    expected = nn.functional.cross_entropy(hidden @ weight.T, torch.tensor([0, 0]), reduction="none")
    torch.testing.assert_close(loss.double(), expected, rtol=2e-2, atol=0)


def test_an_impossible_target_has_a_finite_loss_and_its_gradient() -> None:
    hidden = torch.tensor([[200.0]], requires_grad=True)
    loss = softmax_nll(hidden, torch.tensor([[1.0], [0.0]]), torch.zeros(2), torch.tensor([1]), torch.float32)
    loss.sum().backward()
    assert 80 < float(loss.detach()) < 90
    assert float(hidden.grad) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_needs_no_gradient_gets_none(frozen: int) -> None:
    given = parts(torch.float32)
    given[frozen].requires_grad_(False)
    softmax_nll(*given, torch.arange(7), torch.float32).sum().backward()  # type: ignore[arg-type]
    assert [one.grad is None for one in given] == [number == frozen for number in range(3)]
