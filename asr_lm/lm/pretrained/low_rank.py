"""Causal models of ``transformers`` that learn through LoRA matrices (Hu et al. 2021), their own weights frozen.

The network in training is the scorer's own, with matrices beside its layers, and reads texts between the same tokens:
as long as the matrices add nothing, a text has the score that the scorer gives it. Nothing but the matrices learns, and
nothing is dropped but what they read: the model itself computes in training as it does when it scores.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asr_lm.errors import InputError
from asr_lm.lm.neural import Network, State
from asr_lm.lm.pretrained.adapter_folder import Base, write_adapted
from asr_lm.lm.pretrained.extras import import_extra
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel, window_step
from asr_lm.lm.pretrained.lora_options import LoraOptions
from asr_lm.lm.sizes import NetworkConfig
from asr_lm.lm.training.batches import IGNORED, Batch
from asr_lm.lm.training.list_batches import Rows, text_rows
from asr_lm.text.vocabulary import Vocabulary

_SHOWN = 12
"""Names of layers that a message lists."""

_OF_ADAPTERS = {"base_layer", "default"}
"""How ``peft`` calls what it puts in the place of a layer."""


class LoraNetwork(Network):
    """A model with matrices beside its layers, as the training loop wants it.

    Args:
        model: the scorer, whose network holds the matrices.
        adapted: the same network as ``peft`` wraps it.
    """

    def __init__(self, model: HuggingFaceCausalModel, adapted: nn.Module) -> None:
        super().__init__()
        self.config = NetworkConfig(model.vocabulary.size)
        self.adapted = adapted
        self._model = model
        self._dropouts = [part for name, part in adapted.named_modules() if ".lora_dropout." in name]

    def train(self, mode: bool = True) -> LoraNetwork:
        super().train(mode)
        self.adapted.eval()
        for dropout in self._dropouts:
            dropout.train(mode)
        return self

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, None]:
        return -self.row_log_probs(batch).sum(), None

    def row_log_probs(self, batch: Batch) -> Tensor:
        """As there; the end of a text counts as certain where it is not scored."""
        read = batch.targets != IGNORED
        values = torch.cat(list(self._parts(batch, read)), dim=1)
        return torch.where(self._scored(read), values, 0.0).sum(1)

    def _scored(self, read: Tensor) -> Tensor:
        """Which targets count ``[batch, time]``, given which are there."""
        if self._model.scores_end:
            return read
        following = nn.functional.pad(read[:, 1:], (0, 1))
        return read & following

    def _parts(self, batch: Batch, read: Tensor) -> Iterator[Tensor]:
        """Log-probabilities of the targets ``[batch, part]``, stretch after stretch; those of padding mean nothing."""
        for first, kept, end in rolling_windows(batch.targets.shape[1], self._model.window):
            rows = read[:, kept]  # in a later window, the texts that reach it
            inputs, targets = batch.inputs[rows, first:end], batch.targets[rows, kept:end]
            logits = self._model.logits(inputs, attention_mask=read[rows, first:end].long())[:, kept - first :]
            found = _chosen(logits, targets.clamp(min=0))
            part = found.new_zeros(len(rows), end - kept)
            yield part.masked_scatter(rows[:, None].expand_as(part), found)


def rolling_windows(width: int, window: int) -> Iterator[tuple[int, int, int]]:
    """The stretches of a text that are read one after the other, as :meth:`HuggingFaceCausalModel.node_log_probs` does.

    Args:
        width: tokens of the text.
        window: most tokens that are read at once.

    Yields:
        First token that is read, first whose prediction is kept, and the end of both.

    >>> list(rolling_windows(7, 4))
    [(0, 0, 4), (2, 4, 6), (4, 6, 7)]
    """
    yield 0, 0, min(width, window)
    step = window_step(window)
    for first in range(step, width - window + step, step):
        yield first, first + window - step, min(first + window, width)


def _chosen(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target ``[batch, time]``; ``logits [batch, time, vocabulary]``."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.gather(2, targets[..., None])[..., 0] - logits.logsumexp(2)


class LoraLearner:
    """A causal model with matrices that learn (a :class:`~asr_lm.lm.training.list_recipe.Learner`).

    The matrices are put beside the layers of the model's own network, and add nothing at first.

    Args:
        model: reads texts as it is to read them in training.
        base: where it lies, and what it was.
        options: of the matrices.
        seed: of the half of them that are not zero.

    Raises:
        InputError: ``peft`` is not installed, or the model has no such layers.
    """

    def __init__(self, model: HuggingFaceCausalModel, base: Base, options: LoraOptions, seed: int) -> None:
        self._model, self._base, self._options = model, base, options
        self.vocabulary: Vocabulary = model.vocabulary
        self.normalizer = model.normalizer
        self.rows: Rows = text_rows(model.vocabulary)
        self._adapted = _adapted(model, options, seed)
        self.network: Network = LoraNetwork(model, self._adapted)

    def digest(self) -> str:
        reading = [self.normalizer, self.vocabulary.fingerprint(), self._model.scores_end]
        told = json.dumps([self._base.fingerprint, reading, asdict(self._options)])
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def save(self, folder: Path, *, half: bool, training: dict[str, Any]) -> None:
        """Write the adapter as ``peft`` does, and beside it what makes the folder a model of its own."""
        write_adapted(folder, self._adapted, self._model, self._base, half=half, training=training)


def _adapted(model: HuggingFaceCausalModel, options: LoraOptions, seed: int) -> nn.Module:
    """The network, with matrices beside its layers, as ``peft`` wraps it.

    Raises:
        InputError: see :class:`LoraLearner`.
    """
    peft = import_extra("peft", "adapters")
    if isinstance(options.target_modules, list):
        _check_names(model.network, options.target_modules)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=options.target_modules,
    )
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(_devices(model)):
            warnings.simplefilter("ignore")  # of what the two libraries do with each other
            torch.manual_seed(seed)
            adapted: nn.Module = peft.get_peft_model(model.network, config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise _refused(model.network, " ".join(str(error).split())[:200]) from None
    _check_words(peft, model.network)
    return adapted


def _devices(model: HuggingFaceCausalModel) -> list[torch.device]:
    return [model.device] if model.device.type == "cuda" else []


def _check_names(network: Any, names: list[str]) -> None:
    """Refuse a name that no module of the network ends with."""
    modules = [f".{name}" for name, _ in network.named_modules()]
    for name in names:
        if not any(module.endswith(f".{name}") for module in modules):
            raise _refused(network, f"it has no module {name!r}")


def _check_words(peft: Any, network: Any) -> None:
    """Refuse matrices beside the embedding or the output layer, which are one in many models."""
    layer = peft.tuners.tuners_utils.BaseTunerLayer
    if any(isinstance(part, layer) for part in (network.get_input_embeddings(), network.get_output_embeddings())):
        raise _refused(network, "the embedding and the output layer stay as they are")


def _refused(network: Any, reason: str) -> InputError:
    """The error that says why, and which layers there are."""
    layers = {name.rpartition(".")[2] for name, part in network.named_modules() if _is_linear(part)} - _OF_ADAPTERS
    shown = ", ".join(sorted(layers)[:_SHOWN])
    return InputError(
        f"the model cannot be adapted so ({reason}); its linear layers: {shown}", parameter="lora_targets"
    )


def _is_linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"
