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
from asr_lm.hypotheses.formats import canonical, hyporadise, kaldi, mlm_scoring, nemo, switchboard

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        canonical,
        mlm_scoring,
        hyporadise,
        nemo,
        kaldi,
        switchboard,
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
    fitting = _fitting(beginning, general=False) or _fitting(beginning, general=True)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(f"could be {' or '.join(fitting)}: say which with --format", file=display_name(path))
    if beginning.malformed:
        raise beginning.malformed
    raise InputError(
        f"no n-best list of a known format, expected one of {', '.join(FORMATS)} (see --format)",
        file=display_name(path),
    )


def _fitting(beginning: Beginning, general: bool) -> list[str]:
    return [name for name, format in FORMATS.items() if format.general == general and format.fits(beginning)]


def _check_not_empty(beginning: Beginning) -> None:
    if beginning.is_folder:
        if not any(beginning.path.iterdir()):
            raise InputError("is an empty folder, an n-best list was expected", file=display_name(beginning.path))
    elif not beginning.binary and not beginning.text.strip():
        raise InputError("empty file, expected an n-best list", file=display_name(beginning.path))
