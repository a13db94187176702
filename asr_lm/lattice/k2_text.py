"""k2's text form of a machine (``k2.to_str``, ``Fsa.from_str``).

A line for every arc, ``source target label [aux_label] score``, the source states rising; the arcs to the last state
have label -1 and say nothing; a last line names the last state. Scores are natural logarithms, larger is better. Words
are the auxiliary labels where there are two, else the labels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from asr_lm.errors import InputError
from asr_lm.lattice.lattice import Lattice
from asr_lm.lattice.limits import MAX_ARCS, check_arcs
from asr_lm.lattice.symbols import Symbols, word_of

FINAL = -1
"""Label of the arcs to the last state."""

SCORE = "score"
"""What the one score of such a machine is called; it holds acoustic and language model together."""


_WHOLE = re.compile("-?[0-9]{1,10}")


def read_k2(
    lines: Iterable[tuple[int, str]], name: str, words: Mapping[int, str] | None = None, max_arcs: int = MAX_ARCS
) -> Lattice:
    """The lattice of lines.

    Args:
        lines: number and text of every line.
        name: id of the utterance.
        words: table of words by number.
        max_arcs: arcs, at most.

    Raises:
        InputError: a line is something else, there is no last state, too many arcs.
    """
    symbols = Symbols()
    arcs: list[tuple[int, int, int, float]] = []
    last: int | None = None
    for number, line in lines:
        fields = line.split()
        try:
            if last is not None and fields:
                raise InputError("nothing may follow the last state")
            if len(fields) == 1:
                last = _whole(fields[0])
            elif fields:
                source, target, word, score = _arc(fields)
                arcs.append((source, target, symbols.number(word_of(max(word, 0), words)), score))
                check_arcs(len(arcs), max_arcs)
        except InputError as error:
            raise error.located(line=number, utterance=name) from None
    if last is None:
        raise InputError("no last state; the file may be cut off", utterance=name)
    return Lattice.from_arcs(
        name,
        symbols.texts,
        [arc[0] for arc in arcs],
        [arc[1] for arc in arcs],
        [arc[2] for arc in arcs],
        {SCORE: [arc[3] for arc in arcs]},
        final={last: {}},
    )


def _arc(fields: list[str]) -> tuple[int, int, int, float]:
    if len(fields) not in (4, 5):
        raise InputError(f"expected source, target, one or two labels and a score, found {' '.join(fields)!r}")
    source, target = _whole(fields[0]), _whole(fields[1])
    labels = [_whole(field, FINAL) for field in fields[2:-1]]
    word = 0 if labels[0] == FINAL else labels[-1]
    try:
        score = float(fields[-1])
    except ValueError:
        raise InputError(f"expected a score, found {fields[-1]!r}") from None
    if not score < math.inf:
        raise InputError(f"expected a finite score, found {fields[-1]!r}")
    return source, target, word, score


def _whole(text: str, least: int = 0) -> int:
    if not _WHOLE.fullmatch(text):
        raise InputError(f"expected a whole number, found {text[:40]!r}")
    value = int(text)
    if not least <= value < 2**31:
        raise InputError(f"expected a whole number of {least} or more, found {text!r}")
    return value


def k2_lines(lattice: Lattice, numbers: Mapping[str, int]) -> Iterator[str]:
    """A lattice as lines, one label and the sum of its scaled scores an arc.

    Args:
        lattice: any lattice.
        numbers: number of every word.

    Raises:
        InputError: a word without a number.
    """
    if missing := [text for text in lattice.symbols[1:] if text not in numbers]:
        raise InputError(f"the word {missing[0]!r} has no number", utterance=lattice.id, parameter="words")
    labels = [0, *(numbers[text] for text in lattice.symbols[1:])]
    last = lattice.nodes - 1
    rows = (lattice.source.tolist(), lattice.target.tolist(), lattice.word.tolist(), lattice.weights().tolist())
    for source, target, word, score in zip(*rows, strict=True):
        yield f"{source} {target} {labels[word]} {score!r}\n"
    # Only arcs that say nothing may lead to k2's last state, and each of them does.
    yield f"{last} {last + 1} {FINAL} 0\n{last + 1}\n"
