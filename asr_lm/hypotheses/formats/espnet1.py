"""Results of ESPnet 1: ``data.json`` with ``utts``, each with an ``output`` a hypothesis.

``rec_text`` is the hypothesis and ends in ``<eos>``, ``text`` the reference, ``score`` the sum that the beam search
ranked by. Source: ``espnet/asr/asr_utils.py``, ``add_results_to_json``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from asr_lm.hypotheses.format import Notices, SideInputs
from asr_lm.hypotheses.preset import preset
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Located

_END = "<eos>"


def _fits(record: Any) -> bool:
    """Whether a record is such a document."""
    utterances = record.get("utts") if isinstance(record, dict) else None
    first = next(iter(utterances.values()), None) if isinstance(utterances, dict) else None
    outputs = first.get("output") if isinstance(first, dict) else None
    return isinstance(outputs, list) and bool(outputs) and isinstance(outputs[0], dict) and "rec_text" in outputs[0]


def _read(path: Path, sides: SideInputs, notices: Notices) -> Located:
    for place, utterance in _PRESET.read(path, sides, notices):
        yield place, _without_end(utterance)


def _without_end(utterance: Utterance) -> Utterance:
    hypotheses = tuple(
        msgspec.structs.replace(each, text=each.text.removesuffix(_END).strip()) for each in utterance.hypotheses
    )
    return msgspec.structs.replace(utterance, hypotheses=hypotheses)


_PRESET = preset(
    "espnet1",
    "ESPnet 1's data.json: utts with an output for each hypothesis: rec_text, score, text (the reference)",
    "utterances=utts{} reference=output[0].text text=output[].rec_text score=output[].score",
    _fits,
    advice="run asr_recog.py with --nbest 20",
)
FORMAT = replace(_PRESET, read=_read)
