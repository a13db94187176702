"""Listed phrases as features of hypotheses: what is gained by them, and what near misses risk.

``phrases`` is what listed phrases in a hypothesis are worth by their letters; its weight is never negative.
``phrases: letters`` and ``phrases: agreement`` are of hypotheses made from near misses and 0 for others; their weights
are never positive. The weights are tuned like all others. Where there is nothing to tune them on, as with weights from
elsewhere, they are :data:`~asr_lm.rescoring.features.table.FIXED_PHRASES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from asr_lm.evaluation.biased_errors import BiasedErrors, biased_errors
from asr_lm.evaluation.metrics.registry import metric
from asr_lm.hypotheses.utterance import Utterance
from asr_lm.rescoring.features.table import (
    FIXED_PHRASES,
    PHRASE_AGREEMENT,
    PHRASE_LETTERS,
    PHRASES,
    PHRASES_UNSAID,
    Column,
    FeatureTable,
)
from asr_lm.rescoring.phrases.near_misses import Rewritten, add_near_misses
from asr_lm.rescoring.phrases.phrase_list import Phrase, PhraseList, folded
from asr_lm.rescoring.weights import Weights
from asr_lm.text.normalizer import get_normalizer

if TYPE_CHECKING:
    from asr_lm.rescoring.settings import Measuring


@dataclass(frozen=True)
class Phrases:
    """Which phrases are expected.

    Attributes:
        everywhere: in every utterance, besides those that an utterance lists itself.
        near_misses: whether what is close to a phrase may become it.
        trusted: whether development lists tell how often phrases are said; else their weight is lowered until they
            cost next to nothing where none is: :data:`~asr_lm.rescoring.tuning.beside_phrases.MOST_HARM`.
    """

    everywhere: PhraseList = field(default_factory=PhraseList)
    near_misses: bool = True
    trusted: bool = False

    def of(self, utterance: Utterance) -> PhraseList:
        """The phrases of an utterance."""
        return self.everywhere + PhraseList.of(map(Phrase, utterance.phrases or ()))


@dataclass(frozen=True, eq=False)
class Phrased:
    """Utterances with their near misses, and the columns that go with them.

    Attributes:
        utterances: with further hypotheses.
        lists: phrases of each utterance ``[utterances]``.
        rewritten: what was added to each utterance, at its end ``[utterances]``.
    """

    utterances: list[Utterance]
    lists: list[PhraseList]
    rewritten: list[list[Rewritten]]

    @classmethod
    def of(cls, utterances: Sequence[Utterance], phrases: Phrases) -> Phrased:
        """Look through utterances."""
        lists = [phrases.of(utterance) for utterance in utterances]
        found = [
            add_near_misses(utterance, listed) if phrases.near_misses and len(listed) else (utterance, [])
            for utterance, listed in zip(utterances, lists, strict=True)
        ]
        return cls([utterance for utterance, _ in found], lists, [added for _, added in found])

    def columns(self) -> list[tuple[Column, np.ndarray]]:
        """The columns, ``[rows]`` each."""
        gains, letters, agreement = [], [], []
        for utterance, listed, added in zip(self.utterances, self.lists, self.rewritten, strict=True):
            gains += [listed.gain(found.text) if len(listed) else 0.0 for found in utterance.hypotheses]
            heard = [0.0] * (len(utterance.hypotheses) - len(added))
            letters += [*heard, *(found.distance for found in added)]
            agreement += [*heard, *(found.agreement for found in added)]
        named = {PHRASES: gains, PHRASE_LETTERS: letters, PHRASE_AGREEMENT: agreement}
        kinds = {PHRASES: "phrases"}
        return [
            (Column(name, kinds.get(name, "near miss")), np.array(values))  # type: ignore[arg-type]
            for name, values in named.items()
        ]

    def errors(self, references: Sequence[str | None], texts: Sequence[str], measuring: Measuring) -> BiasedErrors:
        """Errors of listed words and of others, of utterances whose reference is known.

        Args:
            references: what was said ``[utterances]``.
            texts: what a system chose ``[utterances]``.
            measuring: how errors are counted.
        """
        normalize, split = get_normalizer(measuring.normalizer), metric(measuring.unit).tokens
        found = BiasedErrors()
        for said, text, listed in zip(references, texts, self.lists, strict=True):
            if said is not None:
                pair = split(normalize(said)), split(normalize(text))
                found += biased_errors(*pair, {word for word in chain(*pair) if folded(word) in listed.single_words})
        return found

    def unsaid(self, references: Sequence[str]) -> tuple[Column, np.ndarray]:
        """What listed phrases in a hypothesis are worth that are not in the reference ``[rows]``.

        Args:
            references: what was said ``[utterances]``.
        """
        gains = []
        for utterance, listed, reference in zip(self.utterances, self.lists, references, strict=True):
            said = {phrase.words for phrase in listed.within(reference)}
            gains += [listed.gain(found.text, said) if len(listed) else 0.0 for found in utterance.hypotheses]
        return Column(PHRASES_UNSAID, "unsaid"), np.array(gains)

    def add_to(self, table: FeatureTable) -> FeatureTable:
        """The table with these columns."""
        return table.with_columns(self.columns())


def with_fixed_weights(weights: Weights) -> Weights:
    """Weights that know nothing of phrases, with the fixed ones."""
    if PHRASES in weights.values:
        return weights
    return weights.replaced(
        values=weights.values | {name: value / weights.scale for name, value in FIXED_PHRASES.items()}
    )
