"""Named text normalisers.

A language model declares the normaliser its training text went through, and the pipeline applies the same one to the
hypotheses. Every normaliser collapses white space, to which NUL belongs, as it does in ARPA files; none of them ever
returns leading or trailing space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from asr_lm.errors import InputError
from asr_lm.text.spoken_english import spoken
from asr_lm.text.whisper_english import whisper_english

Normalizer = Callable[[str], str]

NormalizerName = Literal["as-is", "lower", "upper", "librispeech", "spoken-english", "english", "unicode", "chinese"]
"""The names of :data:`NORMALIZERS`."""

_PLAIN = re.compile(r"[a-z' ]*\Z")
_OUTSIDE_LIBRISPEECH = re.compile(r"[^a-z0-9' ]+")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ＇`´", "'"))
_NUL = "\0"
_ZERO_WIDTH_SPACE = "\u200b"
# Soft hyphen, joiners, marks of writing direction, byte-order mark: they are within words and mean nothing to speech.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
# Letters that no Unicode decomposition takes apart.
_LATIN_LETTERS = str.maketrans(dict(zip("æœøłđðþßı", ("ae", "oe", "o", "l", "d", "d", "th", "ss", "i"), strict=True)))
# Ideographs (unified, extension A, compatibility, supplementary planes), kana and Bopomofo are written without spaces.
_IDEOGRAPH = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_CHINESE_TOKEN = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+(?:'[^\W_{_IDEOGRAPH}]+)*")


def as_is(text: str) -> str:
    """The text as it stands, white space collapsed."""
    return " ".join(text.replace(_NUL, " ").split())


def lower(text: str) -> str:
    """Lower case, and nothing else but white space."""
    return as_is(text.lower())


def upper(text: str) -> str:
    """Capitals, and nothing else but white space."""
    return as_is(text.upper())


def as_sentence(text: str) -> str:
    """A text as it is written: its first letter a capital, and a full stop where no other mark ends it.

    A text in capitals is put in lower case first.

    >>> as_sentence("THE FERRY IS LATE")
    'The ferry is late.'
    """
    if not text:
        return text
    if text.upper() == text:
        text = text.lower()
    end = "" if unicodedata.category(text[-1])[0] == "P" and text[-1] != "'" else "."
    return text[0].upper() + text[1:] + end


def librispeech(text: str) -> str:
    """Lower-case letters a to z and apostrophes, as LibriSpeech transcripts are (there in capitals).

    Accents are removed, ligatures spelled out, typographic apostrophes unified (single quotation marks are not told
    from them), hyphens and other punctuation become spaces. Digits stay: how a number was spoken cannot be known.
    """
    return " ".join(_OUTSIDE_LIBRISPEECH.sub(" ", _plain_latin(text)).split())


def _plain_latin(text: str) -> str:
    """Lower-case text with Latin letters as they are in English."""
    text = text.lower()
    if _PLAIN.match(text):
        return text
    text = _compatible(text, "NFKD").lower().translate(_LATIN_LETTERS)
    return "".join(character for character in text if unicodedata.category(character) not in ("Mn", "Me"))


def spoken_english(text: str) -> str:
    """As :func:`librispeech`, with numbers, amounts of money, times and titles written out as they are said.

    "Order 42 lamps" becomes "order forty two lamps". Digits are left nowhere.
    """
    return librispeech(spoken(_plain_latin(text)))


def english(text: str) -> str:
    """Whisper's normaliser for English: "don't" becomes "do not", "colour" "color", "forty two" "42".

    See :mod:`asr_lm.text.whisper_english`.
    """
    return whisper_english(_compatible(_compatible(text, "NFKC").casefold(), "NFKC"))


def unicode_words(text: str) -> str:
    """Case-folded words of any script: compatibility forms unified (NFKC), punctuation and symbols become spaces.

    Apostrophes inside a word stay, as do combining marks.
    """
    text = _compatible(_compatible(text, "NFKC").casefold(), "NFKC")
    kept = [character if _belongs_to_word(character) else " " for character in text]
    words = (word.strip("'") for word in "".join(kept).split())
    return " ".join(word for word in words if word)


def _belongs_to_word(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"


def chinese_characters(text: str) -> str:
    """Each Chinese character a token of its own, runs of other letters or digits one token, punctuation dropped.

    Letters are lower-cased. Kana and Bopomofo count as Chinese characters. The word error rate of such text is the
    character error rate as the Mandarin literature counts it.
    """
    text = _compatible(_compatible(text, "NFKC").lower(), "NFKC")
    text = "".join(character for character in text if not unicodedata.combining(character))
    return " ".join(_CHINESE_TOKEN.findall(unicodedata.normalize("NFC", text)))


def _compatible(text: str, form: Literal["NFKC", "NFKD"]) -> str:
    """The compatibility normal form, apostrophes unified, without soft hyphens, joiners and their like."""
    if text.isascii():
        return text.translate(_APOSTROPHES)
    text = _INVISIBLE.sub("", text.translate(_APOSTROPHES).replace(_ZERO_WIDTH_SPACE, " "))
    return unicodedata.normalize(form, text).translate(_APOSTROPHES)


NORMALIZERS: dict[NormalizerName, Normalizer] = {
    "as-is": as_is,
    "lower": lower,
    "upper": upper,
    "librispeech": librispeech,
    "spoken-english": spoken_english,
    "english": english,
    "unicode": unicode_words,
    "chinese": chinese_characters,
}


_IN_CAPITALS = "-upper"

AS_SENTENCES = "-sentence"
"""What the name of a normaliser ends with after which texts are written as sentences."""


def get_normalizer(name: str) -> Normalizer:
    """The normaliser called ``name``; ``NAME-upper`` is NAME and then capitals, ``NAME-sentence`` NAME and then
    :func:`as_sentence`.

    Raises:
        InputError: there is none of that name.

    >>> get_normalizer("librispeech-upper")("It’s late.")
    "IT'S LATE"
    """
    if name.endswith(AS_SENTENCES):
        before = get_normalizer(name.removesuffix(AS_SENTENCES))
        return lambda text: as_sentence(before(text))
    base = name.removesuffix(_IN_CAPITALS)
    if base not in NORMALIZERS:
        expected = ", ".join(NORMALIZERS)
        raise InputError(f"unknown normaliser {name!r}; expected one of {expected}, or one of these and {_IN_CAPITALS}")
    normalize = NORMALIZERS[base]
    return normalize if base == name else lambda text: normalize(text).upper()
