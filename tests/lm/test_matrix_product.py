"""The product that scoring uses is the product that torch uses."""

from __future__ import annotations

import pytest
import torch

from asr_lm.lm.scoring import matrix_product
from asr_lm.lm.scoring.matrix_product import linear


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize(("rows", "width", "out"), [(1, 1, 1), (7, 5, 3), (64, 33, 129), (0, 4, 2)])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("gelu", [True, False])
def test_it_is_linear(
    monkeypatch: pytest.MonkeyPatch, onednn: bool, rows: int, width: int, out: int, biased: bool, gelu: bool
) -> None:
    monkeypatch.setattr(matrix_product, "_HAS_ONEDNN", onednn and matrix_product._HAS_ONEDNN)
    torch.manual_seed(1)
    x, weight = torch.randn(rows, width), torch.randn(out, width)
    bias = torch.randn(out) if biased else None
    expected = torch.nn.functional.linear(x, weight, bias)
    if gelu:
        expected = 0.5 * expected * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (expected + 0.044715 * expected**3)))
    torch.testing.assert_close(linear(x, weight, bias, gelu=gelu), expected)


def test_rows_and_weights_need_not_be_contiguous() -> None:
    torch.manual_seed(1)
    x, weight = torch.randn(9, 12)[::2, ::3], torch.randn(4, 6).t()
    torch.testing.assert_close(linear(x, weight), torch.nn.functional.linear(x, weight))


def test_other_types_go_to_torch() -> None:
    x, weight = torch.ones(2, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    assert linear(x, weight).tolist() == [[3.0], [3.0]]
