"""Options of ``train FAMILY --objective mwer`` and ``train huggingface``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from asr_lm.lm.pretrained.lora_options import LoraOptions
from asr_lm.lm.training.options import TrainingOptions
from asr_lm.text.normalizer import NormalizerName
from pipelines.command import OptionalFloat, OptionalPath, unless_given
from pipelines.options import Unit

FINE_TUNING: dict[str, Any] = {
    "epochs": 5.0,
    "batch_tokens": 4096,
    "learning_rate": 1e-4,
    "schedule": "linear",
    "validations": 10,
    "patience": 0,
}
"""Training options of a fine-tuning for few word errors: little is to be changed."""

ADAPTER_TUNING: dict[str, Any] = {**FINE_TUNING, "batch_tokens": 1024, "learning_rate": 3e-4}
"""The same of LoRA matrices, which begin at nothing; models that others trained have large vocabularies."""


@dataclass(kw_only=True)
class WordErrors:
    """What all fine-tunings on n-best lists for few expected word errors have in common.

    Attributes:
        init_from: [NAME=]DIR: the model to begin with; NAME is that of its column in the weights.
        nbest: n-best lists with references to train on.
        valid_nbest: n-best lists with references that decide when to stop and which weights are kept; by default a
            tenth of the utterances of --nbest, which are then not trained on.
        out: Folder of the model.
        objective: mwer: the expected errors of a list.
        lm: Another model that counts in the choice, [NAME=]PATH; repeatable.
        weights: Weights of all of them, from --save-weights of rescore or compare; by default they are tuned on the
            lists to train on, with the model as it is before.
        likelihood_weight: Weight of the mean negative log-likelihood of a token of the references (and of --text),
            added to the expected errors of a list.
        text: Text, one sentence a line, that joins the references in the likelihood.
        hypotheses: Most hypotheses of a list that a step reads; others are drawn in every epoch, the more probable ones
            more often.
        unit: What an error is counted in.
        wer_normalizer: Applied to references and hypotheses before errors are counted.
        jackknife: Also train this many models, each without the utterances of one part of the references (and from the
            jackknife models of --init-from, where there are some), so that weights can be tuned on the lists trained on
            (0: none, else at least 2).
        device: cpu, cuda, or auto.
        half: Store the weights as float16.
    """

    init_from: Annotated[str, tyro.conf.arg(metavar="[NAME=]DIR")]
    nbest: tuple[Path, ...]
    valid_nbest: Annotated[tuple[Path, ...], unless_given("PATH [PATH ...]")] = ()
    out: Path
    objective: Literal["mwer"] = "mwer"
    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    weights: OptionalPath = None
    likelihood_weight: float = 0.01
    text: Annotated[tuple[Path, ...], unless_given("PATH [PATH ...]")] = ()
    hypotheses: int = 16
    unit: Unit = "word"
    wer_normalizer: NormalizerName = "as-is"
    jackknife: int = 0
    device: str = "auto"
    half: bool = False
    training: TrainingOptions


@dataclass(kw_only=True)
class NetworkWordErrors(WordErrors):
    """Fine-tuning of a trained model on n-best lists with references, for few expected word errors of what is chosen
    (minimum word error rate training). What else counts in the choice is given as for rescore.

    Attributes:
        dropout: Share dropped; by default that of the model to begin with.
    """

    dropout: OptionalFloat = None


@dataclass(kw_only=True)
class AdapterWordErrors(WordErrors):
    """Causal model of Hugging Face: LoRA matrices beside its frozen weights are fine-tuned on n-best lists with
    references, for few expected word errors of what is chosen. What else counts in the choice is given as for rescore.

    Attributes:
        init_from: [NAME=]MODEL: a folder of transformers, hf:NAME or a GGUF file, the model to begin with; NAME is that
            of its column in the weights.
        out: Folder of the adapter, as peft writes it; it is a model like any other for --lm.
        half: Store the matrices as float16.
    """

    init_from: Annotated[str, tyro.conf.arg(metavar="[NAME=]MODEL")]
    out: Path
    half: bool = False
    lora: tyro.conf.OmitArgPrefixes[LoraOptions] = LoraOptions()  # noqa: RUF009


def fine_tuning_options() -> type[Any]:
    """The options of a fine-tuning for few word errors, whatever the family."""
    return _with_training(NetworkWordErrors, FINE_TUNING)


def adapter_options() -> type[Any]:
    """The same of a model of Hugging Face."""
    return _with_training(AdapterWordErrors, ADAPTER_TUNING)


def _with_training(kind: type[WordErrors], defaults: Mapping[str, Any]) -> type[Any]:
    """Options of a fine-tuning with the defaults of its training."""
    training: Any = field(default_factory=lambda: TrainingOptions(**defaults))
    columns: list[Any] = [("training", tyro.conf.OmitArgPrefixes[TrainingOptions], training)]
    return make_dataclass("Options", columns, bases=(kind,), kw_only=True, namespace={"__doc__": kind.__doc__})
