"""Laws of subtraction: a subtracted score never counts for a hypothesis, and compare shows what it is worth."""

from __future__ import annotations

import numpy as np
import pytest
from counting_model import counting
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.rescoring.development import tune
from asr_lm.rescoring.systems import systems_for_comparison


def test_every_system_is_there_without_and_with_what_is_subtracted() -> None:
    def members(*of: object) -> dict[str, tuple[str, ...]]:
        return {system.name: system.models for system in systems_for_comparison(*of).rows}  # type: ignore[arg-type]

    names = ["A", "low", "B"]
    assert members(names, (), ("low", "acoustic")) == {
        "retuned": (),
        "A": ("A",),
        "A - low": ("A", "low"),
        "B": ("B",),
        "B - low": ("B", "low"),
        "A + B": ("A", "B"),
        "A + B - low": ("A", "B", "low"),
    }
    assert systems_for_comparison(names, (), ("low", "acoustic")).final == "A + B - low"
    assert list(members(names[:2], (), ("low",))) == ["retuned", "A", "A - low"]
    assert members(names[1:2], (), ("low",)) == {"retuned": (), "first pass - low": ("low",)}
    assert list(members(names)) == ["retuned", "A", "low", "B", "A + low + B"]


@given(st.integers(0, 10_000))
@settings(max_examples=3)
def test_a_subtracted_weight_is_never_positive(seed: int) -> None:
    generator = np.random.default_rng(seed)
    words = ["a", "b", "c", "d"]
    costs = [dict(zip(words, generator.gamma(2, 1, 4).tolist(), strict=True)) for _ in range(2)]
    models = [counting(name, words, costs=cost) for name, cost in zip(("A", "low"), costs, strict=True)]
    utterances = []
    for number in range(12):
        texts = {" ".join(generator.choice(words, generator.integers(1, 5))) for _ in range(6)}
        heard = tuple(Hypothesis(text, {"acoustic": float(generator.normal())}) for text in sorted(texts))
        utterances.append(Utterance(f"u{number}", heard, sorted(texts)[number % len(texts)]))
    subtracted = ("low", "acoustic") if seed % 2 else ("low",)
    systems = systems_for_comparison(["A", "low"], (), subtracted)
    found = dict(tune(utterances, models, systems, signs=dict.fromkeys(subtracted, -1)).by_system)
    assert {"retuned", "A", "A - low"} <= set(found)
    found.pop("first_pass", None)  # kept where nothing wins held out; its order is not tuned
    for name, weights in found.items():
        for feature, value in weights.values.items():
            assert value <= 0 or feature not in subtracted, name


def test_a_score_that_misleads_is_taken_away() -> None:
    words = ["a", "b"]
    models = [counting("A", words), counting("low", words, costs={"a": 0.1, "b": 5.0})]
    heard = (Hypothesis("a", {"acoustic": 0.1}), Hypothesis("b", {"acoustic": 0.0}))
    utterances = [Utterance(f"u{number}", heard, "b") for number in range(5)]
    systems = systems_for_comparison(["A", "low"], (), ("low",))
    found = tune(utterances, models, systems, signs={"low": -1}).by_system
    assert found["A"].dev["wer"] == 100
    assert found["A - low"].dev["wer"] == 0
    assert found["A - low"].values["low"] < 0
    assert found["A - low"].values["low"] == pytest.approx(min(found["A - low"].values.values()))
