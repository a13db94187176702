"""Results of Google's Speech-to-Text v1 and v2, NVIDIA Riva and IBM Watson: ``results[].alternatives[].transcript``.

The confidence is that of the first alternative (0 or absent means not set), so that it tells hypotheses apart only
where all have one; else the ranks are all that is known. Sources: the services' reference of their recognition results.
"""

from __future__ import annotations

from pathlib import Path

from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, Notices, SideInputs
from asr_lm.hypotheses.inference import infer
from asr_lm.hypotheses.records import json_values
from asr_lm.hypotheses.taking import take
from asr_lm.hypotheses.validation import Located


def _fits(beginning: Beginning) -> bool:
    """Whether the first record is a response with results that have alternatives."""
    record = beginning.first
    results = record.get("results") if isinstance(record, dict) else None
    return (
        isinstance(results, list)
        and bool(results)
        and all(isinstance(result, dict) and isinstance(result.get("alternatives"), list) for result in results)
    )


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    files = Beginning(path).json_files or [path]
    sample = [value for file in files[:50] for value in Beginning(file).sample]
    return take("google", json_values(path), infer(sample), path, notices)


FORMAT = Format(
    name="google",
    about="responses of Google's Speech-to-Text v1 and v2, Riva and Watson: results[].alternatives[].transcript",
    fits=_fits,
    read=_read,
    advice="ask for more: maxAlternatives=30 (Google), max_alternatives (Riva, Watson)",
)
