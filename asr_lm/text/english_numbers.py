"""English numerals as they are said: "forty two" for 42, "nineteen oh five" for the year 1905."""

from __future__ import annotations

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_THOUSANDS = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_LARGEST = 10 ** (3 * len(_THOUSANDS))


def cardinal(number: int) -> str:
    """A whole number from 0.

    >>> cardinal(1042)
    'one thousand and forty two'
    """
    if number >= _LARGEST:
        return digits(str(number))
    groups = [number // 1000**place % 1000 for place in range(len(_THOUSANDS))]
    said = [_below_thousand(groups[place]) + _THOUSANDS[place] for place in range(4, 0, -1) if groups[place]]
    last = groups[0]
    if last or not said:
        said.append(f"and {_below_hundred(last)}" if said and last < 100 else _below_thousand(last))
    return " ".join(said)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    return f"{_UNITS[hundreds]} hundred" + (f" and {_below_hundred(rest)}" if rest else "")


def _below_hundred(number: int) -> str:
    if number < len(_UNITS):
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    return _TENS[tens] + (f" {_UNITS[unit]}" if unit else "")


def digits(numeral: str) -> str:
    """Digit by digit, as a telephone number is said.

    >>> digits("007")
    'zero zero seven'
    """
    return " ".join(_UNITS[int(digit)] for digit in numeral)


def year(number: int) -> str:
    """A year from 1000 to 2999.

    >>> year(1905), year(1900), year(2004), year(2026)
    ('nineteen oh five', 'nineteen hundred', 'two thousand and four', 'twenty twenty six')
    """
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    return f"{_below_hundred(century)} {_two_digits(rest)}" if rest else f"{_below_hundred(century)} hundred"


def _two_digits(number: int) -> str:
    return f"oh {_UNITS[number]}" if number < 10 else _below_hundred(number)


def clock(hour: int, minute: int) -> str:
    """A time of day.

    >>> clock(2, 20), clock(9, 5), clock(12, 0)
    ('two twenty', 'nine oh five', "twelve o'clock")
    """
    return f"{_below_hundred(hour)} {_two_digits(minute)}" if minute else f"{_below_hundred(hour)} o'clock"


def ordinal(said: str) -> str:
    """A number that is said as an ordinal.

    >>> ordinal("forty two"), ordinal("twenty"), ordinal("six")
    ('forty second', 'twentieth', 'sixth')
    """
    before, space, last = said.rpartition(" ")
    word = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return before + space + word


def plural(said: str) -> str:
    """A number in the plural, as of a decade.

    >>> plural("nineteen ninety"), plural("six")
    ('nineteen nineties', 'sixes')
    """
    if said.endswith("y"):
        return said[:-1] + "ies"
    return said + ("es" if said.endswith("x") else "s")
