"""English text as it is said, for models that were trained on speech: numbers, amounts and titles written out.

How a number was spoken cannot be known; it is written out the most usual way, so that a hypothesis with digits and one
with words are the same to a model where they are the same to a listener.
"""

from __future__ import annotations

import re

from asr_lm.text.english_numbers import cardinal, clock, digits, ordinal, plural, year

_DIGIT = re.compile(r"\d")
_SHORTENED = re.compile(r"'(?=\d)")
"""An apostrophe for left-out digits: '90s."""

_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
_TITLE = re.compile(r"\b(mr|mrs|dr)\b(?!')\.?")
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_HUNDREDTHS = {"penny": "pence"}
_FRACTIONS = {(1, 2): "one half", (1, 3): "one third", (2, 3): "two thirds", (1, 4): "one quarter"} | {
    (3, 4): "three quarters"
}
_NUMERAL = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"
_SCALE = r"(?: (hundred|thousand|million|billion|trillion)\b)?"
_AMOUNT = re.compile(rf"([$£€]) ?({_NUMERAL})(?:\.(\d+))?{_SCALE}")
_FRACTION = re.compile(r"(?<![\d/⁄])(\d+)[/⁄](\d+)(?![\d/⁄])")
_CLOCK = re.compile(r"(?<!\d)([01]?\d|2[0-3]):([0-5]\d)(?!\d)")
_NUMBER = re.compile(rf"({_NUMERAL})(?:\.(\d+))?(st|nd|rd|th|'?s)?(?![a-z])|({_NUMERAL})")
_YEARS = range(1100, 2100)


def spoken(text: str) -> str:
    """Numbers, amounts of money, per cents, times and titles of lower-case text written out.

    >>> spoken("dr. smith ordered 42 lamps at $2.50 in 1999")
    'doctor smith ordered forty two lamps at two dollars fifty in nineteen ninety nine'
    """
    text = _TITLE.sub(lambda found: _TITLES[found[1]], text).replace("&", " and ")
    if not _DIGIT.search(text):
        return text
    text = _SHORTENED.sub("", text).replace("%", " percent ")
    text = _AMOUNT.sub(_amount, text)
    text = _FRACTION.sub(_fraction, text)
    text = _CLOCK.sub(lambda found: _apart(clock(int(found[1]), int(found[2]))), text)
    return " ".join(_NUMBER.sub(_number, text).split())


def _apart(said: str) -> str:
    """A number apart from letters beside it, as in "mp3"."""
    return f" {said} "


def _whole(numeral: str) -> str:
    """A whole number: with leading zeros digit by digit, between 1100 and 2099 a year."""
    plain = numeral.replace(",", "")
    if len(plain) > 1 and plain.startswith("0"):
        return digits(plain)
    number = int(plain)
    return year(number) if plain == numeral and number in _YEARS else cardinal(number)


def _decimal(numeral: str, fraction: str | None) -> str:
    return f"{cardinal(int(numeral.replace(',', '')))} point {digits(fraction)}" if fraction else _whole(numeral)


def _number(found: re.Match[str]) -> str:
    numeral, fraction, suffix, bare = found.groups()
    if bare:
        return _apart(_whole(bare))
    said = _decimal(numeral, fraction)
    if suffix in ("st", "nd", "rd", "th"):
        said = ordinal(said if fraction else cardinal(int(numeral.replace(",", ""))))
    elif suffix:
        said = plural(said)
    return _apart(said)


def _amount(found: re.Match[str]) -> str:
    """An amount of money: "$2.50", "£20 million"."""
    sign, numeral, fraction, scale = found.groups()
    unit, hundredth = _CURRENCIES[sign]
    if scale or (fraction and len(fraction) != 2):
        return _apart(f"{_decimal(numeral, fraction)}{f' {scale}' if scale else ''} {plural(unit)}")
    whole, cents = int(numeral.replace(",", "")), int(fraction or 0)
    if not whole and cents:
        return _apart(f"{cardinal(cents)} {hundredth if cents == 1 else _HUNDREDTHS.get(hundredth, plural(hundredth))}")
    said = f"{cardinal(whole)} {unit if whole == 1 else plural(unit)}"
    return _apart(f"{said} {cardinal(cents)}" if cents else said)


def _fraction(found: re.Match[str]) -> str:
    """A common fraction, or two numbers."""
    parts = int(found[1]), int(found[2])
    return _apart(_FRACTIONS.get(parts) or f"{found[1]} {found[2]}")
