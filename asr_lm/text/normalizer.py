"""Named text normalisers.

A language model declares the normaliser its training text went through, and the pipeline applies the same one to the
hypotheses. Every normaliser collapses white space; none of them ever returns leading or trailing space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from asr_lm.errors import InputError

Normalizer = Callable[[str], str]

_PLAIN = re.compile(r"[a-z' ]*\Z")
_OUTSIDE_LIBRISPEECH = re.compile(r"[^a-z0-9' ]+")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ＇`´", "'"))
# Ideographs (unified, extension A, compatibility, supplementary planes), kana and Bopomofo are written without spaces.
_IDEOGRAPH = "\u3005\u3007\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CHINESE_TOKEN = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+(?:'[^\W_{_IDEOGRAPH}]+)*")


def as_is(text: str) -> str:
    """The text as it stands, white space collapsed."""
    return " ".join(text.split())


def librispeech(text: str) -> str:
    """Lower-case letters a to z and apostrophes, as LibriSpeech transcripts are (there in capitals).

    Accents are removed, typographic apostrophes unified, hyphens and other punctuation become spaces. Digits stay:
    how a number was spoken cannot be known.
    """
    text = text.lower()
    if not _PLAIN.match(text):
        text = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES))
        text = "".join(character for character in text if not unicodedata.combining(character))
        text = _OUTSIDE_LIBRISPEECH.sub(" ", text)
    return " ".join(text.split())


def unicode_words(text: str) -> str:
    """Case-folded words of any script: compatibility forms unified (NFKC), punctuation and symbols become spaces.

    Apostrophes inside a word stay, as do combining marks.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    kept = [character if _belongs_to_word(character) else " " for character in text]
    words = (word.strip("'") for word in "".join(kept).split())
    return " ".join(word for word in words if word)


def _belongs_to_word(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"


def chinese_characters(text: str) -> str:
    """Each Chinese character a token of its own, runs of other letters or digits one token, punctuation dropped.

    The word error rate of such text is the character error rate as the Mandarin literature counts it.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).lower()
    return " ".join(_CHINESE_TOKEN.findall(text))


NORMALIZERS: dict[str, Normalizer] = {
    "as-is": as_is,
    "librispeech": librispeech,
    "unicode": unicode_words,
    "chinese": chinese_characters,
}


def get_normalizer(name: str) -> Normalizer:
    """The normaliser called ``name``.

    Raises:
        InputError: there is none of that name.
    """
    if name not in NORMALIZERS:
        raise InputError(f"unknown normaliser {name!r}; expected one of {', '.join(NORMALIZERS)}")
    return NORMALIZERS[name]
