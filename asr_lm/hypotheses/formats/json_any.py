"""Any JSON in which the hypotheses stand under a usual name: ``nbest``, ``hyps``, ``alternatives``, ``beams``, ….

JSON Lines, arrays, documents, dictionaries by id, and folders with one response of a service in each file. Which field
is what is told from names (:mod:`~asr_lm.hypotheses.field_names`) by :mod:`~asr_lm.hypotheses.inference`; the reader
says in one line what it took and what it left.
"""

from __future__ import annotations

from pathlib import Path

from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.inference import infer, infer_rows
from asr_lm.hypotheses.mapping import Mapping
from asr_lm.hypotheses.records import json_values
from asr_lm.hypotheses.taking import take
from asr_lm.hypotheses.validation import Located


def _mapping_of(beginning: Beginning) -> Mapping | None:
    """The mapping that the first records suggest."""
    if not beginning.is_json or beginning.malformed:
        return None
    return infer(beginning.sample) or infer_rows(beginning.sample)


def _fits(beginning: Beginning) -> bool:
    """Whether a list of hypotheses is found."""
    return _mapping_of(beginning) is not None


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    return take("json", json_values(path), _mapping_of(Beginning(path)), path, notices)


FORMAT = Format(
    name="json",
    about="any JSON with a list of hypotheses under a usual name: nbest, hyps, alternatives, beams, candidates, …",
    fits=_fits,
    read=_read,
    general=True,
    advice="ask the recogniser for its beams, not for the best of them",
)
