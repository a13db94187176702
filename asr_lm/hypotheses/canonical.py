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
