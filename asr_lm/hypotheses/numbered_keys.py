"""Keys of the form ``utterance-N``, which hold a rank in n-best lists and a running number elsewhere.

Ids of LibriSpeech end in ``-0000``, ``-0001``, … and are no ranks. Ranks have no leading zeros, begin at 1 in nearly
every utterance, and hypotheses of one utterance have words in common.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.hypotheses.validation import Located, Location

KEY = re.compile(r"(.+)-(\d{1,9})", re.ASCII)
_ALIKE = 1 / 3


def are_ranks(entries: Iterable[tuple[str, str]]) -> bool:
    """Whether keys and texts are those of n-best lists.

    Args:
        entries: the first keys with their texts, in the order of the file.
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for key, text in entries:
        match = KEY.fullmatch(key)
        if match is None or (match[2].startswith("0") and match[2] != "0"):
            return False
        groups.setdefault(match[1], []).append((int(match[2]), text))
    several = [group for group in groups.values() if len(group) > 1]
    begins = sum(min(number for number, _ in group) in (0, 1) for group in groups.values())
    if not several or 2 * begins < len(groups):
        return False
    pairs = [alike(one, other) for group in several for (_, one), (_, other) in itertools.pairwise(sorted(group))]
    return 2 * sum(pairs) >= len(pairs)


def alike(one: str, other: str) -> bool:
    """Whether two texts share a third of their words at least."""
    first, second = set(one.split()), set(other.split())
    return len(first & second) >= _ALIKE * len(first | second)


def grouped(entries: Iterable[tuple[Location, str, Hypothesis]]) -> Located:
    """Utterances of hypotheses under ``utterance-N`` that follow one another; ranked by their numbers.

    Raises:
        InputError: a key has no number, or a number comes twice in an utterance.
    """
    for identity, group in itertools.groupby(_numbered(entries), key=lambda entry: entry[1]):
        ranked = sorted(group, key=lambda entry: entry[2])
        for first, second in itertools.pairwise(ranked):
            if first[2] == second[2]:
                raise second[0].error(f"second hypothesis of number {second[2]}", identity)
        yield ranked[0][0], Utterance(identity, tuple(entry[3] for entry in ranked))


def _numbered(entries: Iterable[tuple[Location, str, Hypothesis]]) -> Iterator[tuple[Location, str, int, Hypothesis]]:
    for place, key, hypothesis in entries:
        match = KEY.fullmatch(key)
        if match is None:
            raise place.error(f"key {key!r}, expected utterance-N with the rank N of the hypothesis")
        yield place, match[1], int(match[2]), hypothesis
