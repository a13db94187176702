"""How far two spellings are apart: edit distance over letters, in which what sounds alike costs less.

An insertion, a deletion or a substitution costs 1. Less costs what English spelling often leaves open: one vowel for
another, voiced for voiceless, letters of one sound (c, k and q; f, v and p with h; s, z and c), a doubled letter and a
silent one (h, e, and the apostrophe). Letters of other scripts cost 1.
"""

from __future__ import annotations

from functools import cache

HALF, LITTLE = 0.5, 0.25

_ALIKE = ("aeiouy", "ckqgx", "szcx", "bp", "dt", "fvw", "mn", "gj", "iy", "lr", "uw")
_SILENT = frozenset("he'’-")


def letter_distance(heard: str, listed: str) -> float:
    """Cost of turning one spelling into the other.

    >>> letter_distance("cristina", "christina"), letter_distance("marc", "mark"), letter_distance("sea", "sit")
    (0.5, 0.5, 1.5)
    """
    row = [0.0]
    for place in range(len(listed)):
        row.append(row[-1] + _gap(listed, place))
    for place, letter in enumerate(heard):
        previous, row = row, [row[0] + _gap(heard, place)]
        for column, other in enumerate(listed):
            row.append(
                min(
                    previous[column] + _swap(letter, other),
                    previous[column + 1] + _gap(heard, place),
                    row[column] + _gap(listed, column),
                )
            )
    return row[-1]


def _gap(word: str, place: int) -> float:
    if place and word[place] == word[place - 1]:
        return LITTLE
    return HALF if word[place] in _SILENT else 1.0


@cache
def _swap(first: str, second: str) -> float:
    if first == second:
        return 0.0
    return HALF if any(first in letters and second in letters for letters in _ALIKE) else 1.0
