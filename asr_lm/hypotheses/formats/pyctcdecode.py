"""pyctcdecode's beams as JSON: ``[text, state, frames, logit_score, lm_score]`` for each hypothesis.

``lm_score`` of pyctcdecode is the whole: the logit score and the weighted language model score. The language model's
share is their difference. Source: ``OutputBeam`` in ``decoder.py``.
"""

from __future__ import annotations

from typing import Any

from asr_lm.hypotheses.mapped import number_in
from asr_lm.hypotheses.preset import preset


def _fits(record: Any) -> bool:
    """Whether a record is a list of such beams."""
    return isinstance(record, list) and bool(record) and all(map(_is_beam, record))


def _is_beam(beam: Any) -> bool:
    return (
        isinstance(beam, list)
        and len(beam) == 5
        and isinstance(beam[0], str)
        and isinstance(beam[2], list)
        and None not in map(number_in, beam[3:])
    )


FORMAT = preset(
    "pyctcdecode",
    "pyctcdecode's beams as JSON arrays: text, state, frames, logit_score, lm_score (which holds the logit score)",
    "text=[][0] logit=[][3] lm=([][4])-([][3])",
    _fits,
    known=True,
)
