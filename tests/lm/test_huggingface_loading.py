"""Laws of how a model of ``transformers`` is read: in the precision asked for from the beginning, and watched."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from test_huggingface import TEXTS, causal  # noqa: E402

from asr_lm.lm.loading import load_model  # noqa: E402
from asr_lm.lm.precision import IN_BFLOAT16  # noqa: E402
from asr_lm.lm.pretrained import loading  # noqa: E402
from asr_lm.lm.protocol import LanguageModel  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    causal("llama").save(tmp_path / "model")
    return tmp_path / "model"


def opened(folder: Path, **options: Any) -> LanguageModel:
    model = load_model(folder, **options)
    assert isinstance(model, LanguageModel)
    return model


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_read_in_bfloat16_is_what_is_converted_after_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.dtype] = []
    auto = transformers.AutoModelForCausalLM
    read = auto.from_pretrained

    def watched(*arguments: Any, **options: Any) -> Any:
        asked.append(options["dtype"])
        return read(*arguments, **options)

    monkeypatch.setattr(auto, "from_pretrained", watched)
    converted = opened(folder)
    assert converted.precision == "float32"
    converted.compute_in("bfloat16")
    model = opened(folder, precision="bfloat16")
    assert asked == [torch.float32, torch.bfloat16]
    assert (model.precision, model.remarks) == ("bfloat16", [IN_BFLOAT16])
    assert model.fingerprint() == converted.fingerprint()
    np.testing.assert_array_equal(model.log_prob(TEXTS), converted.log_prob(TEXTS))


@pytest.mark.parametrize(("times", "expected"), [(3.0, "bfloat16"), (1.2, "float32")])
def test_auto_measures_before_a_weight_is_read(
    times: float, expected: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_lm.lm.precision._NARROWEST", 4)
    monkeypatch.setattr("asr_lm.lm.precision.speedup", lambda device, *sizes: times if device == "cpu" else 0.0)
    assert opened(folder, precision="auto").precision == expected


def test_a_progress_bar_of_large_models_at_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for large, kind, shown in [(1, _Terminal, True), (1, io.StringIO, False), (1 << 30, _Terminal, False)]:
        stream = kind()
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(loading, "_LARGE", large)
        load_model(folder)
        assert ("100%" in stream.getvalue()) == shown
