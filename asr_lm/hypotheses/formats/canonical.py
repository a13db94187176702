"""The n-best list of this package: one utterance a line (JSON Lines), or a JSON array of the same objects.

::

    {"id": "1089-134686-0000", "recording": "1089-134686", "reference": "he hoped there would be stew",
     "hypotheses": [{"text": "he hoped there would be stew", "scores": {"acoustic": -41.7, "lm": -20.3}}]}

``id`` and ``hypotheses`` (each with a ``text``) are needed, the rest is optional
(:class:`~asr_lm.hypotheses.utterance.Utterance` says what it means). Other fields are allowed and left out of what is
read, and of a key given twice in one object the last counts. Scores are natural logarithms, larger is better.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from asr_lm.hypotheses.beginning import Beginning
from asr_lm.hypotheses.format import Format, plain
from asr_lm.hypotheses.json_records import decode_record, json_records
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.hypotheses.validation import Located


def read_canonical(path: Path) -> Located:
    """Utterances of a canonical list; lines are streamed.

    Raises:
        InputError: a record is malformed, lacks a field, or has one of the wrong type.
    """
    decoder = msgspec.json.Decoder(Utterance)
    for place, raw in json_records(path):
        yield place, decode_record(decoder, raw, place)


def fits(beginning: Beginning) -> bool:
    """Whether the first record is an object with hypotheses, none of them called hyp_1 or the like."""
    record = beginning.first
    return isinstance(record, dict) and "hypotheses" in record and not _is_numbered(record["hypotheses"])


def _is_numbered(hypotheses: object) -> bool:
    return isinstance(hypotheses, dict) and any(str(key).startswith("hyp_") for key in hypotheses)


FORMAT = Format(
    name="canonical",
    about="JSON Lines or a JSON array of this package's own objects: id, hypotheses with text and scores",
    fits=fits,
    read=plain(read_canonical),
)
