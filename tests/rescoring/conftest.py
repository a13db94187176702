from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from asr_lm.rescoring.features.table import Column, FeatureTable

Build = Callable[..., FeatureTable]


@pytest.fixture
def build() -> Build:
    """Make a table from lengths, values and errors; the columns are ``kinds`` by name."""

    def table(
        lengths: list[int],
        values: object,
        errors: object,
        kinds: dict[str, str] | None = None,
        reference_words: list[int] | None = None,
        recordings: list[str | None] | None = None,
        texts: list[str] | None = None,
    ) -> FeatureTable:
        rows = sum(lengths)
        array = np.asarray(values, dtype=np.float64).reshape(rows, -1)
        kinds = kinds or {f"score{i}": "first-pass" for i in range(array.shape[1])}
        counts = np.zeros((rows, 3), dtype=np.int32)
        counts[:, 0] = errors
        return FeatureTable(
            tuple(f"u{i}" for i in range(len(lengths))),
            tuple(recordings or [None] * len(lengths)),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            tuple(Column(name, kind) for name, kind in kinds.items()),
            np.asfortranarray(array),
            counts,
            np.array(reference_words or [10] * len(lengths), dtype=np.int64),
            tuple(texts or [f"text {row}" for row in range(rows)]),
        )

    return table


@pytest.fixture
def draw(build: Build) -> Build:
    """Draw a table whose scores say something about the errors, and a length that says nothing."""

    def table(generator: np.random.Generator, utterances: int, longest: int, features: int = 3) -> FeatureTable:
        lengths = generator.integers(1, longest + 1, utterances)
        errors: NDArray[np.int64] = generator.poisson(2, lengths.sum())
        noise = generator.standard_normal((len(errors), features)) * np.linspace(1, 3, features)
        kinds = {f"score{i}": "first-pass" for i in range(features - 1)} | {"words": "length"}
        signal = np.append(np.ones(features - 1), 0.0)
        return build(lengths.tolist(), noise - errors[:, None] * signal, errors, kinds)

    return table
