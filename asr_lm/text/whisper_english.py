"""The English normaliser that Whisper's error rates are measured with (Radford et al. 2022, appendix C).

It is that of the package ``whisper-normalizer``, which has the code of the paper: fillers and what stands in brackets
are left out, contractions and titles written in full, British spellings made American, numbers written in digits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

_MOST_ROUNDS = 8
_REMEMBERED = 1 << 16


@cache
def _normalizer() -> Callable[[str], str]:
    # Late: it compiles its patterns when it is made, and most work needs none of them.
    from whisper_normalizer.english import EnglishTextNormalizer

    made: Callable[[str], str] = EnglishTextNormalizer()
    return made


@lru_cache(_REMEMBERED)
def whisper_english(text: str) -> str:
    """A text in which casing, punctuation, fillers, contractions, numbers and spellings make no difference.

    What the paper's rules give is given to them again until nothing changes, so that a normalised text stays as it is.
    """
    for _ in range(_MOST_ROUNDS):
        before, text = text, " ".join(_normalizer()(text).split())
        if text == before:
            break
    return text
