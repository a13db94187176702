"""Laws of the precision of products: measured, quicker or not taken, and kept by a training that was begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from asr_lm.errors import InputError
from asr_lm.lm import precision
from asr_lm.lm.families.bilstm import BilstmConfig
from asr_lm.lm.families.bilstm.network import BilstmNetwork
from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Network
from asr_lm.lm.families.gru import GruConfig
from asr_lm.lm.families.gru.network import GruNetwork
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.nnlm import NnlmConfig
from asr_lm.lm.families.nnlm.network import NnlmNetwork
from asr_lm.lm.families.rnnlm import RnnlmConfig
from asr_lm.lm.families.rnnlm.network import RnnlmNetwork
from asr_lm.lm.neural import Network
from asr_lm.lm.precision import check_precision, largest_matrix, resolve_precision, speedup
from asr_lm.lm.training import loop, trial
from asr_lm.lm.training.batches import Batch
from asr_lm.lm.training.checkpoint import CHECKPOINT_FILE, Checkpoint
from asr_lm.lm.training.loop import train_network
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.outcome import TrainingProgress, TrainingResult
from asr_lm.lm.training.trial import quicker_precision

VOCABULARY = 40
OPTIONS = TrainingOptions(epochs=3, learning_rate=1e-2, validations=3, patience=0, optimizer="muon")


def batch(seed: int = 3) -> Batch:
    ids = torch.randint(VOCABULARY, (4, 8), generator=torch.Generator().manual_seed(seed))
    return Batch(ids, ids.roll(1, 0))


class Three:
    """A source of three batches."""

    carries_state = False

    def batches(self, epoch: int, start: int = 0):  # type: ignore[no-untyped-def]
        return (batch(10 * epoch + number) for number in range(start, 3))

    def count(self, epoch: int) -> int:
        return 3


def lstm(width: int = 16) -> LstmNetwork:
    torch.manual_seed(1)
    return LstmNetwork(LstmConfig(VOCABULARY, embedding=width, hidden=width, layers=2, dropout=0.3))


NETWORKS: dict[str, Callable[[], Network]] = {
    "lstm": lstm,
    "class": lambda: LstmNetwork(LstmConfig(VOCABULARY, 16, 16, tied=False, output="class", classes=4)),
    "adaptive": lambda: LstmNetwork(LstmConfig(VOCABULARY, 16, 16, tied=False, output="adaptive")),
    "nce": lambda: LstmNetwork(LstmConfig(VOCABULARY, 16, 16, output="nce")),
    "gru": lambda: GruNetwork(GruConfig(VOCABULARY, embedding=16, hidden=16)),
    "rnnlm": lambda: RnnlmNetwork(RnnlmConfig(VOCABULARY, hidden=16)),
    "nnlm": lambda: NnlmNetwork(NnlmConfig(VOCABULARY, embedding=16, hidden=16)),
    "bilstm": lambda: BilstmNetwork(BilstmConfig(VOCABULARY, embedding=16, hidden=16)),
    "gpt1": lambda: Gpt1Network(Gpt1Config(VOCABULARY, layers=2, width=16, heads=2, positions=16, dropout=0.0)),
}


def train(folder: Path, chosen: str, report=lambda progress: None) -> tuple[LstmNetwork, TrainingResult]:  # type: ignore[no-untyped-def]
    network, options = lstm(), replace(OPTIONS, precision=chosen)
    result = train_network(network, Three(), Three(), options, folder, identity={}, report=report)
    return network, result


class TestChoice:
    def test_what_is_asked_for_is_taken(self) -> None:
        assert resolve_precision("bfloat16", lstm()) == "bfloat16"
        assert resolve_precision("float32", lstm(256)) == "float32"

    def test_narrow_networks_are_not_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(precision, "speedup", lambda *sizes: pytest.fail("measured"))
        assert largest_matrix(lstm()) is None
        assert resolve_precision("auto", lstm()) == "float32"

    @pytest.mark.parametrize(("factor", "chosen"), [(0.01, "float32"), (1.4, "float32"), (2.0, "bfloat16")])
    def test_it_must_be_clearly_quicker(self, factor: float, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(precision, "speedup", lambda *sizes: factor)
        assert resolve_precision("auto", lstm(128)) == chosen

    def test_the_largest_matrix_is_measured_and_cut(self) -> None:
        network = nn.ModuleList([nn.Linear(200, 130), nn.Linear(300, 5000), nn.Linear(4, 100_000)])
        assert largest_matrix(network) == (1024, 300)

    def test_a_processor_slow_with_it_is_noticed_early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        times = iter([3.0, 1.0])
        monkeypatch.setattr(precision, "_best", lambda work, device: next(times))
        speedup.cache_clear()
        assert speedup("cpu", 130, 131) == 0.0
        speedup.cache_clear()

    def test_the_ratio_is_that_of_the_best_of_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        times = iter([0.1, 1.0, 6.0, 2.0, 4.0, 3.0])
        monkeypatch.setattr(precision, "_best", lambda work, device: next(times))
        speedup.cache_clear()
        assert speedup("cpu", 130, 131) == 2.0
        speedup.cache_clear()

    def test_other_names(self) -> None:
        assert check_precision("auto") == "auto"
        with pytest.raises(InputError, match="expected one of auto, float32, bfloat16, not 'int8'"):
            check_precision("int8")


class TestTrial:
    @pytest.mark.parametrize(("slow", "fast", "chosen"), [(2.0, 1.0, "bfloat16"), (1.0, 1.0, "float32")])
    def test_the_quicker_step_is_chosen_and_nothing_changes(
        self, slow: float, fast: float, chosen: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trial, "resolve_precision", lambda asked, network: "bfloat16")
        network = lstm().train()
        before = [parameter.clone() for parameter in network.parameters()]
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        real = trial._seconds
        monkeypatch.setattr(
            trial, "_seconds", lambda net, some, half: real(net, some, half) * 0 + (fast if half else slow)
        )
        assert quicker_precision(network, batch()) == chosen
        assert torch.equal(torch.rand(3), expected)
        assert all(map(torch.equal, network.parameters(), before))
        assert all(parameter.grad is None for parameter in network.parameters())

    def test_where_products_are_no_quicker_nothing_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trial, "_seconds", lambda *arguments: pytest.fail("tried"))
        assert quicker_precision(lstm(), batch()) == "float32"


class TestTraining:
    @pytest.mark.parametrize("kind", NETWORKS)
    def test_losses_and_gradients_agree_with_float32(self, kind: str) -> None:
        torch.manual_seed(1)
        network = NETWORKS[kind]().eval()
        found = []
        for half in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss, _ = network.loss(batch())
            network.zero_grad()
            loss.backward()
            gradients = [one.grad.flatten() for one in network.parameters() if one.grad is not None]
            found.append((float(loss.detach()), torch.cat(gradients)))
        (exact, gradient), (rounded, other) = found
        assert rounded == pytest.approx(exact, rel=5e-3)
        assert float((other - gradient).norm() / gradient.norm()) < 0.03

    def test_weights_and_moments_stay_float32(self, tmp_path: Path) -> None:
        network, result = train(tmp_path, "bfloat16")
        assert result.precision == "bfloat16"
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        tensors = Checkpoint.read(tmp_path / CHECKPOINT_FILE).tensors
        assert {value.dtype for name, value in tensors.items() if name.startswith("optimizer")} == {torch.float32}
        assert not all(map(torch.equal, network.parameters(), train(tmp_path / "other", "float32")[0].parameters()))

    def test_killed_and_taken_up_it_is_the_same_bit_for_bit(self, tmp_path: Path) -> None:
        def kill(progress: TrainingProgress) -> None:
            if progress.step == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "killed", "bfloat16", kill)
        resumed, _ = train(tmp_path / "killed", "bfloat16")
        whole, _ = train(tmp_path / "whole", "bfloat16")
        assert all(map(torch.equal, resumed.parameters(), whole.parameters()))

    def test_a_training_goes_on_as_it_began(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loop, "quicker_precision", lambda network, first: "bfloat16")
        _, result = train(tmp_path, "auto")
        assert result.precision == "bfloat16"
        monkeypatch.setattr(loop, "quicker_precision", lambda network, first: "float32")
        assert train(tmp_path, "auto")[1].precision == "bfloat16"
        assert train(tmp_path, "bfloat16")[1].precision == "bfloat16"
        with pytest.raises(InputError, match="another precision"):
            train(tmp_path, "float32")
