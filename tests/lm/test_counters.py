"""The counters of a checkpoint survive JSON, and nothing else is taken for them."""

from __future__ import annotations

import json

import pytest

from asr_lm.lm.training.counters import Counters

HALFWAY = Counters(
    step=6, tokens=500, loss_sum=8.25, best_loss=2.5, best_step=4, curve=[{"step": 4, "valid_loss": 2.5}]
)


@pytest.mark.parametrize("counters", [Counters(), HALFWAY])
def test_json_changes_nothing(counters: Counters) -> None:
    assert Counters.from_json(json.loads(json.dumps(counters.to_json(), allow_nan=False))) == counters


@pytest.mark.parametrize(("name", "value"), [("step", "6"), ("step", 1.5), ("tokens", True), ("curve", None)])
def test_values_of_another_type(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=name):
        Counters.from_json({**HALFWAY.to_json(), name: value})


def test_a_missing_one() -> None:
    facts = HALFWAY.to_json()
    del facts["position"]
    with pytest.raises(LookupError, match="position"):
        Counters.from_json(facts)
