"""Steps of training against a plain loop of torch in float32: the same sizes, batches, threads and kind of optimiser.

The other side is what anybody would write: ``nn.LSTM`` or fused attention, ``cross_entropy``, dropout, clipping, and
torch's optimiser. Ours chooses its precision by itself. Both take turns; the medians of processor time are compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asr_lm.lm.families.gpt1 import Gpt1Config
from asr_lm.lm.families.gpt1.network import Gpt1Network
from asr_lm.lm.families.lstm import LstmConfig
from asr_lm.lm.families.lstm.network import LstmNetwork
from asr_lm.lm.families.registry import find_preset
from asr_lm.lm.neural import Network
from asr_lm.lm.training.batches import Batch
from asr_lm.lm.training.optimizers import make_optimizer
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.lm.training.trial import quicker_precision

WORDS, REPEATS = 10_000, 5
PRESETS = {"zaremba-small": "lstm", "zaremba-medium": "lstm", "ptb-small": "gpt1"}


def run() -> list[dict[str, Any]]:
    """Time of a step of each preset, as a ratio."""
    return [_compared(family, preset) for preset, family in PRESETS.items()]


def _compared(family: str, name: str) -> dict[str, Any]:
    torch.manual_seed(1)
    preset = find_preset(family, name)
    options = TrainingOptions(**preset.training)
    rows = max(1, options.batch_tokens // options.bptt)
    ids = torch.randint(WORDS, (rows, options.bptt + 1))
    batch = Batch(ids[:, :-1], ids[:, 1:])
    network, plain = _networks(family, preset.network)
    precision = quicker_precision(network.train(), batch)
    optimizer = make_optimizer(network, options, precision)
    other = torch.optim.SGD(plain.parameters(), lr=0.1)
    if options.optimizer != "sgd":
        other = torch.optim.AdamW(plain.parameters(), fused=True)  # type: ignore[assignment]
    sides = (
        lambda: _step(network, optimizer, lambda: network.loss(batch)[0] / batch.tokens, precision == "bfloat16"),
        lambda: _step(plain, other, lambda: _plain_loss(plain, batch), False),
    )
    times = [[_seconds(side) for side in sides] for _ in range(REPEATS + 1)][1:]
    ours, theirs = (statistics.median(row[side] for row in times) for side in (0, 1))
    tokens = batch.tokens
    rates = f"{tokens / ours:,.0f} against {tokens / theirs:,.0f} tokens/s"
    notes = f"[{precision}, {rates}, {torch.get_num_threads()} threads]"
    limit = 1.8 if precision == "bfloat16" else 1.0
    what = f"training {family} {name}"
    return {"name": what, "ratio": theirs / ours, "against": "plain torch in float32", "limit": limit, "notes": notes}


def _networks(family: str, sizes: dict[str, Any]) -> tuple[Network, nn.Module]:
    if family == "lstm":
        ours = LstmNetwork(LstmConfig(WORDS, **sizes))
        return ours, PlainLstm(sizes["hidden"], sizes["layers"], sizes["dropout"]).train()
    return Gpt1Network(Gpt1Config(WORDS, **sizes)), PlainTransformer(sizes).train()


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor], half: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        value = loss()
    value.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _plain_loss(network: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(network(batch.inputs).flatten(0, 1), batch.targets.flatten())


class PlainLstm(nn.Module):
    """The usual LSTM language model."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, WORDS)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[batch, time, words]``."""
        logits: Tensor = self.output(self.dropout(self.lstm(self.dropout(self.embedding(inputs)))[0]))
        return logits


class PlainTransformer(nn.Module):
    """The usual transformer decoder, of torch's own layers."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        width = sizes["width"]
        layer = nn.TransformerEncoderLayer(
            width, sizes["heads"], 4 * width, sizes["dropout"], activation="gelu", batch_first=True
        )
        self.embedding, self.position = nn.Embedding(WORDS, width), nn.Embedding(sizes["positions"], width)
        self.layers = nn.TransformerEncoder(layer, sizes["layers"], enable_nested_tensor=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[batch, time, words]``."""
        mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1])
        x = self.embedding(inputs) + self.position.weight[: inputs.shape[1]]
        return nn.functional.linear(self.layers(x, mask, is_causal=True), self.embedding.weight)


def _seconds(work: Callable[[], None]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin
