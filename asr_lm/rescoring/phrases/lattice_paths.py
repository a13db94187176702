"""Listed phrases in a lattice: they guide its search, and the best path through each joins the list.

A lattice holds many more words than the list that is drawn from it. What it holds the recogniser did consider: these
paths have scores of their own, and are hypotheses like all others.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from asr_lm.lattice.lattice import Floats, Lattice
from asr_lm.lattice.nbest import LatticePath
from asr_lm.lattice.through_words import SpokenWords, best_paths_through
from asr_lm.rescoring.phrases.phrase_list import PhraseList, Words, folded

MOST = 20
"""Paths that are added to a list, at most; the best ones."""


def phrase_gains(lattice: Lattice, phrases: PhraseList) -> Floats:
    """What arcs gain by the phrases that they are part of ``[arcs]``, in the unit of :meth:`PhraseList.gain`.

    The words of a phrase share what it is worth; of several phrases the most counts. An arc gains on all its paths,
    also on those that leave the phrase: it is the search that is guided so, not the decision.
    """
    spoken, gains = SpokenWords.of(lattice, folded), np.zeros(len(lattice))
    for words in _possible(spoken, phrases):
        arcs = spoken.arcs(words)
        share = phrases.by_words[words].worth / len(words)
        gains[arcs] = np.maximum(gains[arcs], [share * len(spoken.said[arc]) for arc in arcs])
    return gains


def phrase_paths(lattice: Lattice, weights: Floats, phrases: PhraseList, known: Collection[str]) -> list[LatticePath]:
    """The best paths through listed phrases, one a text, best first; the order of the phrases changes nothing.

    Args:
        lattice: any lattice.
        weights: of its arcs ``[arcs]``.
        phrases: what is listed.
        known: texts that are hypotheses already.
    """
    spoken = SpokenWords.of(lattice, folded)
    new: dict[str, LatticePath] = {}
    for _, path in best_paths_through(spoken, weights, _possible(spoken, phrases)):
        text = lattice.text(path.arcs)
        if text not in known and (text not in new or path.score > new[text].score):
            new[text] = path
    ordered = sorted(new.items(), key=lambda found: (-found[1].score, found[0]))
    return [path for _, path in ordered[:MOST]]


def _possible(spoken: SpokenWords, phrases: PhraseList) -> list[Words]:
    """Phrases whose first word the lattice has."""
    return sorted(words for words in phrases.by_words if words[0] in spoken.beginning)
