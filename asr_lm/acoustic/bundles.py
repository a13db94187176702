"""The recognisers of ``torchaudio.pipelines`` by name: wav2vec 2.0, HuBERT, VoxPopuli (CTC), Emformer (RNN-T).

Their weights are downloaded when they are first used, and kept where torch.hub keeps its files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torchaudio

from asr_lm.acoustic.model_folder import WaveEncoder
from asr_lm.acoustic.recogniser import CtcRecogniser
from asr_lm.acoustic.rnnt import RnntRecogniser
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError

DEFAULT = "WAV2VEC2_ASR_BASE_960H"

Loaded = TypeVar("Loaded")


def bundle_names() -> list[str]:
    """Every name that :func:`load_bundle` takes."""
    pipelines = torchaudio.pipelines
    # An aligner is a CTC bundle, too; its letters are romanised, so that nothing can be read from them.
    return sorted(
        name
        for name, bundle in vars(pipelines).items()
        if isinstance(bundle, pipelines.RNNTBundle)
        or (isinstance(bundle, pipelines.Wav2Vec2ASRBundle) and not isinstance(bundle, pipelines.Wav2Vec2FABundle))
    )


def load_bundle(name: str) -> CtcRecogniser | RnntRecogniser:
    """A recogniser of torchaudio, in evaluation mode.

    Raises:
        InputError: there is none of this name, or its weights cannot be had.
    """
    if name not in bundle_names():
        raise InputError(f"{name!r} is neither a folder nor a recogniser of torchaudio: {', '.join(bundle_names())}")
    bundle = getattr(torchaudio.pipelines, name)
    if isinstance(bundle, torchaudio.pipelines.RNNTBundle):
        return RnntRecogniser(
            name,
            bundle.sample_rate,
            _fetched(name, bundle.get_feature_extractor),
            _fetched(name, bundle.get_decoder).eval(),
            _fetched(name, bundle.get_token_processor),
        )
    model: Any = _fetched(name, bundle.get_model)
    normalize = not isinstance(model, torchaudio.models.Wav2Vec2Model)
    network = WaveEncoder(model.model if normalize else model, normalize)
    return CtcRecogniser(name, network.eval(), Tokens(tuple(bundle.get_labels())), int(bundle.sample_rate))


def _fetched(name: str, fetch: Callable[[], Loaded]) -> Loaded:
    try:
        return fetch()
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"the weights of {name} could not be downloaded to {torch.hub.get_dir()} ({reason}); they are fetched "
            "once, so try again where there is a network, or give --model a folder"
        ) from None
