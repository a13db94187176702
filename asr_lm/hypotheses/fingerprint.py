"""A name for a list of hypotheses by what language models see of it: the texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from asr_lm.hypotheses.utterance import Utterance


def fingerprint(items: Iterable[Utterance] | Iterable[str]) -> str:
    """Hexadecimal digest (128 bits) of hypothesis texts in their order, the same on every machine.

    Utterances count as their hypotheses' texts; ids, scores and references do not enter.
    """
    digest = hashlib.blake2b(digest_size=16)
    for item in items:
        texts = [item] if isinstance(item, str) else [hypothesis.text for hypothesis in item.hypotheses]
        for text in texts:
            data = text.encode()
            # With its length before it no text can be taken for two.
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return digest.hexdigest()
