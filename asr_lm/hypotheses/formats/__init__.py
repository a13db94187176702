"""The registry of n-best formats, and which of them a list has, told from its content.

A format is named only where the beginning of the list fits it and no other; where two fit, or none, the user is asked.
A new format is one module here and one line in :data:`FORMATS`.
"""

from __future__ import annotations

from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format
from asr_lm.hypotheses.formats import (
    aws,
    canonical,
    columnar,
    espnet,
    espnet1,
    flashlight,
    google,
    htk_mlf,
    hyporadise,
    json_any,
    julius,
    kaldi,
    kaldi_text,
    mlm_scoring,
    nemo,
    pyctcdecode,
    speechbrain,
    srilm,
    switchboard,
    table,
    trn,
    wenet,
)
from asr_lm.hypotheses.one_best import one_best
from asr_lm.hypotheses.refusal import refused, refused_one_best

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        canonical.FORMAT,
        mlm_scoring.FORMAT,
        hyporadise.FORMAT,
        nemo.FORMAT,
        kaldi.FORMAT,
        switchboard.FORMAT,
        kaldi_text.TEXT,
        kaldi_text.CTM,
        espnet.FORMAT,
        espnet1.FORMAT,
        srilm.FORMAT,
        htk_mlf.FORMAT,
        julius.FORMAT,
        trn.FORMAT,
        wenet.FORMAT,
        flashlight.FORMAT,
        google.FORMAT,
        aws.FORMAT,
        pyctcdecode.FORMAT,
        speechbrain.FORMAT,
        columnar.FORMAT,
        table.FORMAT,
        json_any.FORMAT,
    )
}
"""Every format by its name, which is what ``--format`` takes."""


def recognise(path: Path) -> str:
    """Name of the format of a file or folder.

    Raises:
        InputError: it is empty or damaged, or no format fits, or more than one.
    """
    beginning = Beginning(path)
    _check_not_empty(beginning)
    if kind := one_best(beginning, sure=True):
        raise refused_one_best(beginning, kind)
    fitting = _fitting(beginning, general=False) or _fitting(beginning, general=True)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(f"could be {' or '.join(fitting)}: say which with `format=`", file=display_name(path))
    if beginning.malformed:
        raise beginning.malformed
    if kind := one_best(beginning, sure=False):
        raise refused_one_best(beginning, kind)
    raise refused(beginning, list(FORMATS))


def _fitting(beginning: Beginning, general: bool) -> list[str]:
    return [name for name, format in FORMATS.items() if format.general == general and format.fits(beginning)]


def _check_not_empty(beginning: Beginning) -> None:
    if beginning.is_folder:
        if not any(beginning.path.iterdir()):
            raise InputError("is an empty folder, an n-best list was expected", file=display_name(beginning.path))
    elif not beginning.binary and not beginning.text.strip():
        raise InputError("empty file, expected an n-best list", file=display_name(beginning.path))
