"""Results of Amazon Transcribe with alternatives: ``results.segments[].alternatives[].transcript``.

Confidences are given for words, not for alternatives, so that only the ranks are known. Source: the documentation of
Amazon Transcribe, "Alternative transcriptions".
"""

from __future__ import annotations

from typing import Any

from asr_lm.hypotheses.preset import preset


def _fits(record: Any) -> bool:
    """Whether a record is a result with segments or transcripts."""
    results = record.get("results") if isinstance(record, dict) else None
    return isinstance(results, dict) and isinstance(results.get("transcripts"), list)


FORMAT = preset(
    "aws",
    "Amazon Transcribe with alternatives: results.segments[].alternatives[].transcript",
    "utterances=results.segments[] text=alternatives[].transcript",
    _fits,
    advice="ask Amazon Transcribe for alternatives: ShowAlternatives=true, MaxAlternatives=10",
)
