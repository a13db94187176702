"""``train huggingface``: what learns beside a model of Hugging Face, and which models there are for that."""

from __future__ import annotations

from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.lm.loading import load_model
from asr_lm.lm.pretrained.adapter_folder import Base
from asr_lm.lm.pretrained.extras import import_extra
from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel
from asr_lm.lm.pretrained.low_rank import LoraLearner
from asr_lm.lm.pretrained.place import ADAPTER_FILE, split_adapter
from asr_lm.lm.protocol import Ranker
from asr_lm.rescoring.scoring.specification import ReadingOptions, name_and_path
from pipelines.word_error_options import AdapterWordErrors


def check_adapter(options: AdapterWordErrors) -> None:
    """Refuse what cannot be begun with before it is opened.

    Raises:
        InputError: ``peft`` is not installed, or the model has an adapter already.
    """
    import_extra("peft", "adapters", parameter="init_from")
    path = str(name_and_path(options.init_from)[1])
    if split_adapter(path)[1] is not None or (Path(path) / ADAPTER_FILE).is_file():
        raise InputError("has an adapter already; begin with the model without it", file=path, parameter="init_from")


def causal_model(model: Ranker, path: Path) -> HuggingFaceCausalModel:
    """A model that can be adapted.

    Raises:
        InputError: it is no causal model of ``transformers``.
    """
    if isinstance(model, HuggingFaceCausalModel):
        return model
    kind = "a masked model" if model.family == HuggingFaceCausalModel.family else f"a model of family {model.family!r}"
    advice = "" if model.family == HuggingFaceCausalModel.family else f" (train {model.family} --objective mwer)"
    raise InputError(f"expected a causal model of Hugging Face, not {kind}{advice}", file=path, parameter="init_from")


def lora_learner(path: Path, device: str, reading: ReadingOptions, options: AdapterWordErrors) -> LoraLearner:
    """The model of a place with matrices beside its layers, reading texts as it is scored."""
    model = causal_model(load_model(path, device), path)
    base = Base(path, model.fingerprint())
    reading.apply(model)
    return LoraLearner(model, base, options.lora, options.training.seed)
