"""What is said of a list that no format fits: what was found, what was expected, and the way out."""

from __future__ import annotations

from asr_lm.errors import InputError
from asr_lm.files import display_name
from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.one_best import OneBest, described

EXAMPLE = (
    '{"id": "utt1", "hypotheses": [{"text": "first best", "scores": {"acoustic": -4.1}}, {"text": "second best", '
    '"scores": {"acoustic": -4.3}}]}'
)
"""The canonical form, one utterance."""

_LATTICES = ("lat.", "lattice")


def refused_one_best(beginning: Beginning, kind: OneBest) -> InputError:
    """One hypothesis an utterance."""
    message = f"{kind.what}: one hypothesis for each utterance, so there is nothing to rescore; {kind.advice}"
    return InputError(message, file=display_name(beginning.path))


def refused(beginning: Beginning, names: list[str]) -> InputError:
    """No format fits.

    Args:
        beginning: of the list.
        names: every format.
    """
    name = beginning.path.name
    if _is_lattice(beginning):
        message = "a lattice, no n-best list: rescore it with rescore --lattice (and --dev-lattice)"
        return InputError(message, file=display_name(beginning.path))
    found = _found(beginning)
    message = (
        f"no n-best list of a known format, expected one of {', '.join(names)} (see `format=`); found {found}. "
        f"Say where the fields lie with `mapping='id=… text=…'`, or write lines such as {EXAMPLE}"
    )
    return InputError(message, file=display_name(beginning.path) if name else None)


def _is_lattice(beginning: Beginning) -> bool:
    if beginning.is_folder:
        return any(file.name.startswith(_LATTICES) or file.name.endswith(".slf.gz") for file in beginning.files)
    named = beginning.path.name.startswith(_LATTICES)
    return (named and beginning.binary is not None) or (
        b"VERSION=1." in beginning.head[:200] and b"N=" in beginning.head
    )


def _found(beginning: Beginning) -> str:
    if beginning.is_folder:
        names = [file.name for file in beginning.path.iterdir()]
        return f"a folder with {', '.join(sorted(names)[:6])}{', …' if len(names) > 6 else ''}"
    if beginning.binary:
        return beginning.binary
    if beginning.is_json:
        return f"{'an array of ' if beginning.is_array else ''}{described(beginning.first)}"
    line = beginning.lines[0] if beginning.lines else beginning.text.strip()
    return f"lines such as {line[:80]!r}"
