"""Laws that hold for every shape of a family are tested for each of them."""

from __future__ import annotations

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    shapes = getattr(metafunc.cls, "shapes", None)
    if shapes is not None and "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", list(shapes))
