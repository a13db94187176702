"""What a recogniser makes of letters and of the spaces between words: a probabilistic edit transducer.

Each symbol said, a letter or the space between two words, is heard as a string: itself, nothing (a deletion), another
symbol (a substitution), or several (insertions, which belong to the symbol before them). How often it is heard as what
depends on the symbols beside it and on whether the symbol before was heard as something else: recognisers err in
stretches. The probabilities are shares of counts from Levenshtein alignments of references and hypotheses; a context
that is too rare gives way to a smaller one.

Text corrupted so has words that no list has, unlike that of :mod:`asr_lm.lm.training.confusions`. The hypotheses of a
list share their errors: each has for every word, with the probability ``sharing``, what the first drawn has, and else
its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from asr_lm.errors import InputError
from asr_lm.lm.training.list_sizes import ListSizes

_BEGIN = "\n"
"""Stands before the first symbol, for insertions there; no normalised text has it."""

_ENOUGH = 20
"""Times that a context must have been seen."""

Context = tuple[str, ...]


@dataclass(frozen=True)
class Outputs:
    """What a symbol is heard as. Attributes: texts; their probabilities, summed up."""

    texts: tuple[str, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, counts: Counter[str]) -> Outputs:
        """The shares of counts."""
        total = sum(counts.values())
        return cls(tuple(counts), (*(found / total for found in accumulate(counts.values())),))

    def draw(self, number: float) -> str:
        """The text at a number from 0 to 1."""
        return self.texts[min(bisect_right(self.sums, number), len(self.texts) - 1)]


class EditChannel:
    """The transducer.

    Attributes:
        outputs: by context, the largest first (:func:`contexts`).
        sharing: see above.
        sizes: of lists.
    """

    def __init__(self, outputs: dict[Context, Outputs], sharing: float = 1.0, sizes: ListSizes | None = None) -> None:
        self.outputs, self.sharing, self.sizes = outputs, sharing, sizes or ListSizes(Counter([1]))

    @classmethod
    def learn(cls, lists: Iterable[tuple[str, Sequence[str]]]) -> EditChannel:
        """The edits of lists.

        Args:
            lists: the normalised reference and hypotheses of each.

        Raises:
            InputError: no list has a hypothesis.
        """
        counts: dict[Context, Counter[str]] = defaultdict(Counter)
        sizes: Counter[int] = Counter()
        shares: list[float] = []
        for reference, hypotheses in lists:
            sizes[len(hypotheses)] += 1
            heard = [heard_as(reference, hypothesis) for hypothesis in hypotheses]
            for outputs in heard:
                _count(counts, reference, outputs)
            shares += _shares(reference, heard)
        if not sizes:
            raise InputError("no list to learn confusions from")
        kept = {context: Outputs.of(found) for context, found in counts.items() if sum(found.values()) >= _ENOUGH}
        return cls(kept, float(np.mean(shares)) if shares else 1.0, ListSizes(sizes))

    def corrupt(self, text: str, random: np.random.Generator) -> list[str]:
        """Hypotheses as the recogniser might have written them for ``text``, as many as its lists have."""
        size = self.sizes.draw(random)
        first = self.draw(text, random)
        hypotheses = [first]
        for _ in range(size - 1):
            own, shared = self.draw(text, random), random.random(len(text.split()) + 1) < self.sharing
            hypotheses.append([a if shared[word] else b for a, b, word in zip(first, own, _words(text), strict=True)])
        return [" ".join("".join(outputs).split()) for outputs in hypotheses]

    def draw(self, text: str, random: np.random.Generator) -> list[str]:
        """What the beginning of a text and each of its symbols is heard as ``[symbols + 1]``."""
        outputs: list[str] = []
        changed = False
        for place, number in enumerate(random.random(len(text) + 1).tolist()):
            symbol = text[place - 1] if place else ""
            known = (self.outputs.get(context) for context in contexts(text, place, changed))
            found = next((one for one in known if one is not None), None)
            outputs.append(symbol if found is None else found.draw(number))
            changed = outputs[-1] != symbol
        return outputs


def contexts(text: str, place: int, changed: bool) -> list[Context]:
    """What the output of a symbol depends on, the largest context first.

    Args:
        text: what is said.
        place: number of the symbol from 1; 0 stands before the first.
        changed: whether the symbol before was heard as something else.
    """
    said = f"{_BEGIN}{_BEGIN}{text}{_BEGIN}"
    before, symbol, after = list(said[place : place + 3])
    state = "changed" if changed else "same"
    return [(state, symbol, before, after), (state, symbol, before), (state, symbol)]


def heard_as(said: str, heard: str) -> list[str]:
    """What the beginning of a text and each of its symbols was heard as ``[symbols + 1]``; they join to ``heard``."""
    from rapidfuzz.distance import Levenshtein

    outputs = [""] * (len(said) + 1)
    for block in Levenshtein.opcodes(said, heard):
        symbols = heard[block.dest_start : block.dest_end]
        if block.tag == "insert":
            outputs[block.src_start] += symbols
        elif block.tag != "delete":
            for place, symbol in enumerate(symbols, block.src_start + 1):
                outputs[place] += symbol
    return outputs


def _count(counts: dict[Context, Counter[str]], said: str, outputs: Sequence[str]) -> None:
    changed = False
    for place, output in enumerate(outputs):
        for context in contexts(said, place, changed):
            counts[context][output] += 1
        changed = output != (said[place - 1] if place else "")


def _words(text: str) -> list[int]:
    """The number of the word of the beginning and of each symbol of a text; a space belongs to the word before."""
    return [0, *accumulate(int(before == " ") for before in f"{_BEGIN}{text}"[:-1])] if text else [0]


def _shares(said: str, heard: Sequence[Sequence[str]]) -> list[float]:
    """Of each word that a list errs in, how much of the other hypotheses has it as the first that errs has it."""
    words = _words(said)
    texts = [[""] * (words[-1] + 1) for _ in heard]
    for some, outputs in zip(texts, heard, strict=True):
        for word, output in zip(words, outputs, strict=True):
            some[word] += output
    right = [""] * (words[-1] + 1)
    for word, symbol in zip(words[1:], said, strict=True):
        right[word] += symbol
    shares = []
    for number, text in enumerate(right):
        found = [some[number] for some in texts]
        wrong = [some for some in found if some != text]
        if wrong and len(found) > 1:
            shares.append((found.count(wrong[0]) - 1) / (len(found) - 1))
    return shares
