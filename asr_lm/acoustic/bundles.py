"""The CTC recognisers of ``torchaudio.pipelines`` by name: wav2vec 2.0, HuBERT, VoxPopuli.

Their weights are downloaded when they are first used, and kept where torch.hub keeps its files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torchaudio import models, pipelines

from asr_lm.acoustic.decoder import RecogniserKind
from asr_lm.acoustic.model_folder import WaveEncoder
from asr_lm.acoustic.recogniser import CtcRecogniser
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError

Loaded = TypeVar("Loaded")


def ctc_bundles() -> list[str]:
    """The names of torchaudio's CTC recognisers."""
    # An aligner is a CTC bundle, too; its letters are romanised, so that nothing can be read from them.
    return [
        name for name in bundles_of(pipelines.Wav2Vec2ASRBundle) if name not in bundles_of(pipelines.Wav2Vec2FABundle)
    ]


def bundles_of(kind: type) -> list[str]:
    """The names of the bundles of a class."""
    return [name for name, bundle in vars(pipelines).items() if isinstance(bundle, kind)]


def load_ctc_bundle(name: str, device: str) -> CtcRecogniser:
    """A CTC recogniser of torchaudio.

    Raises:
        InputError: its weights cannot be had.
    """
    bundle = getattr(pipelines, name)
    model: Any = fetched(name, bundle.get_model)
    normalize = not isinstance(model, models.Wav2Vec2Model)
    network = WaveEncoder(model.model if normalize else model, normalize)
    return CtcRecogniser(name, network.eval().to(device), Tokens(tuple(bundle.get_labels())), int(bundle.sample_rate))


def fetched(name: str, fetch: Callable[[], Loaded]) -> Loaded:
    """What a bundle gives, downloaded if need be.

    Raises:
        InputError: it cannot be downloaded.
    """
    try:
        return fetch()
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"the weights of {name} could not be downloaded to {torch.hub.get_dir()} ({reason}); they are fetched "
            "once, so try again where there is a network, or give a folder as model"
        ) from None


KIND = RecogniserKind(
    "a CTC recogniser of torchaudio.pipelines", ctc_bundles, lambda name: name in ctc_bundles(), load_ctc_bundle
)
