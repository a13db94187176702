"""Every kind of recogniser; a new one is its own module and a line here."""

from __future__ import annotations

from pathlib import Path

from asr_lm.acoustic import bundles, model_folder, rnnt
from asr_lm.acoustic.decoder import Recogniser, RecogniserKind
from asr_lm.acoustic.sequences import ctranslate2, huggingface
from asr_lm.errors import InputError
from asr_lm.files import refuse_special_files

DEFAULT = "WAV2VEC2_ASR_BASE_960H"

KINDS: tuple[RecogniserKind, ...] = (
    ctranslate2.KIND,
    huggingface.KIND,
    model_folder.KIND,
    bundles.KIND,
    rnnt.KIND,
)


def recogniser_names() -> list[str]:
    """Every name that can be listed."""
    return sorted(name for kind in KINDS for name in kind.names())


def open_recogniser(name: str, device: str = "cpu") -> Recogniser:
    """The recogniser of this name, in evaluation mode.

    Args:
        name: a folder, a name of ``torchaudio.pipelines``, or what another kind calls its own (``hf:NAME``).
        device: where it computes.

    Raises:
        InputError: there is none of this name, or it cannot be loaded.
    """
    if Path(name).is_dir():
        refuse_special_files(Path(name))
    for kind in KINDS:
        if kind.takes(name):
            return kind.load(name, device)
    raise InputError(
        f"{name!r} is neither a folder nor a recogniser of torchaudio ({', '.join(recogniser_names())}), and "
        "begins with neither hf: (a model of Hugging Face) nor ct2: (a folder of CTranslate2)",
        parameter="model",
    )
