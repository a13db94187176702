"""Laws of dropout: so many units are dropped, the mean stays, and the seed decides which."""

from __future__ import annotations

import pytest
import torch

from asr_lm.lm.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.15, 0.5, 0.9])
def test_the_share_is_dropped_and_the_others_make_up_for_it(share: float) -> None:
    torch.manual_seed(1)
    x = torch.ones(301, 1001)
    y = Dropout(share)(x)
    assert float((y == 0).float().mean()) == pytest.approx(share, abs=4e-3)
    assert float(y.max()) == pytest.approx(1 / (1 - share), rel=1e-3)
    # Neighbours come from one draw, and are dropped independently nevertheless.
    dropped = (y == 0).float()
    assert float((dropped[:, :-1] * dropped[:, 1:]).mean()) == pytest.approx(share**2, abs=6e-3)


def test_gradients_pass_where_values_do() -> None:
    x = torch.randn(5, 7, requires_grad=True)
    y = Dropout(0.4)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient * x, y)


def test_the_seed_decides_and_scoring_drops_nothing() -> None:
    layer, x = Dropout(0.5), torch.randn(9, 9)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)
    assert layer.eval()(x) is x
    assert torch.equal(Dropout(0.0)(x), x)


def test_the_same_units_are_dropped_at_all_times() -> None:
    torch.manual_seed(4)
    x = torch.randn(20, 7, 300, requires_grad=True)
    y = Dropout(0.3, same_over_time=True)(x)
    dropped = y == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert float(dropped.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(dropped[0, 0], dropped[1, 0])
    torch.testing.assert_close(y[~dropped], x[~dropped] / 0.7, rtol=1e-4, atol=0)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient == 0, dropped)
