"""SpeechBrain's CTC hypotheses as JSON: objects with ``text``, ``score``, ``lm_score``, ``text_frames``.

``lm_score`` is the whole, the score with the language model's; the share of the language model is the difference.
Source: ``CTCHypothesis`` in ``decoders/ctc.py``.
"""

from __future__ import annotations

from typing import Any

from asr_lm.hypotheses.preset import preset


def _fits(record: Any) -> bool:
    """Whether a record is a list of such hypotheses."""
    return isinstance(record, list) and bool(record) and all(map(_is_hypothesis, record))


def _is_hypothesis(value: Any) -> bool:
    return isinstance(value, dict) and {"text", "score", "lm_score", "text_frames"} <= value.keys()


FORMAT = preset(
    "speechbrain",
    "SpeechBrain's CTC hypotheses: arrays of objects with text, score and lm_score (which holds the score)",
    "text=[].text score=[].score lm=([].lm_score)-([].score)",
    _fits,
    known=True,
)
