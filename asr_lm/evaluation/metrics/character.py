"""Character error rate, as the Mandarin literature counts it.

White space is dropped before characters are counted, which gives what jiwer's ``cer`` gives of texts without white
space. A Latin letter is a character like any other, so a foreign word counts as many units as it has letters.
"""

from __future__ import annotations

from asr_lm.evaluation.metrics.metric import Metric


def _characters(text: str) -> list[str]:
    return list("".join(text.split()))


CHARACTER = Metric(
    unit="character",
    short="CER",
    long="character error rate",
    about="every character, a Latin letter too, and no white space",
    tokens=_characters,
    separator="",
)
