"""Laws that hold for every shape of a family are tested for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    shapes = getattr(metafunc.cls, "shapes", None)
    if shapes is not None and "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", list(shapes))


@pytest.fixture
def float64() -> Iterator[None]:
    """Networks made by the test, and what they compute, in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
