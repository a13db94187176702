"""Where the hypotheses of a list agree with a text, word by word.

Every hypothesis is aligned to the text with the fewest word errors, so that the text is the pivot of a confusion
network: the posterior of a word is the summed posterior of the hypotheses that have the same word at the same place
(Wessel, Schlüter, Macherey and Ney, Confidence measures for large vocabulary continuous speech recognition, IEEE
Transactions on Speech and Audio Processing 2001; Mangu, Brill and Stolcke 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_lm.rescoring.features.lists import Values


@dataclass(frozen=True, eq=False)
class Agreement:
    """How the hypotheses of one list stand to the words of a text.

    Attributes:
        same: whether a hypothesis has the text's word at the word's place ``[hypotheses, words]``.
        alternatives: distinct things that other hypotheses say there, nothing among them ``[words]``.
    """

    same: NDArray[np.bool_]
    alternatives: NDArray[np.int64]

    @classmethod
    def of(cls, words: Sequence[str], hypotheses: Sequence[Sequence[str]]) -> Agreement:
        """Align hypotheses, each as its words, to the words of a text."""
        from rapidfuzz.distance import Levenshtein

        same = np.ones((len(hypotheses), len(words)), dtype=bool)
        others: list[set[str]] = [set() for _ in words]
        for row, hypothesis in zip(same, hypotheses, strict=True):
            for step in Levenshtein.editops(words, hypothesis):
                if step.tag != "insert":
                    row[step.src_pos] = False
                    others[step.src_pos].add(hypothesis[step.dest_pos] if step.tag == "replace" else "")
        return cls(same, np.array([len(found) for found in others], dtype=np.int64))

    def posteriors(self, probabilities: Values) -> Values:
        """Posterior of each word, given that of each hypothesis ``[hypotheses]`` to ``[words]``."""
        total: Values = probabilities @ self.same
        return np.minimum(total / probabilities.sum(), 1.0)


def right_words(reference: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """Which words of a text stand in the reference, in an alignment with the fewest errors ``[words]``."""
    return Agreement.of(words, [reference]).same[0]
