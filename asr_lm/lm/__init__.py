"""Language models: one paper, one network, one folder (see the README.md there).

:func:`load` opens a trained model whatever its family.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr_lm.lm.protocol import Ranker


def load(path: str | Path, device: str = "cpu") -> Ranker:
    """See :func:`asr_lm.lm.loading.load`; imported late, so that importing the package loads no torch."""
    from asr_lm.lm import loading

    return loading.load(path, device)
