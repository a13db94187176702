"""Correction: what a model writes after reading a list joins the list as one more hypothesis.

The text of a corrector may be better than every hypothesis of the list. It is not taken on trust: it stands among the
others with what all models say of it, the first-pass scores of its closest neighbour
(:meth:`asr_lm.rescoring.features.table.FeatureTable.from_utterances`) and a feature of its own, whose weight is tuned
on a development list that was corrected in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance
from asr_lm.lm.scoring.conditional import ConditionalModel
from asr_lm.rescoring.scoring.conditional import ConditionalScorer
from asr_lm.rescoring.scoring.models import RescoringModel


@dataclass(frozen=True)
class Correction:
    """How correctors write.

    Attributes:
        beam: width of the beam search.
        texts: how many texts each corrector writes for an utterance.

    Raises:
        InputError: one of them is not above 0.
    """

    beam: int = 8
    texts: int = 1

    def __post_init__(self) -> None:
        for name, value in (("beam", self.beam), ("corrections", self.texts)):
            if value < 1:
                raise InputError(f"expected a number above 0, not {value}", parameter=name)


def correctors(models: Sequence[RescoringModel]) -> list[RescoringModel]:
    """The models that can write.

    Raises:
        InputError: none can.
    """
    found = [model for model in models if isinstance(model.model, ConditionalModel)]
    if not found:
        raise InputError("no model can correct; give one of family birnn-attention", parameter="correct")
    return found


def add_corrections(
    utterances: Sequence[Utterance],
    models: Sequence[RescoringModel],
    correction: Correction,
    *,
    development: bool = False,
) -> list[Utterance]:
    """The utterances, what correctors write added to their hypotheses where no hypothesis has that text.

    Args:
        utterances: the lists.
        models: those that can write do so.
        correction: how.
        development: let jackknife models write where a model has seen references (see
            :meth:`RescoringModel.unseen_parts`).

    Raises:
        InputError: no model can write.
    """
    written: list[list[str]] = [[] for _ in utterances]
    for model in correctors(models):
        parts = model.unseen_parts(utterances) if development else [(model.scorer, range(len(utterances)))]
        for scorer, members in parts:
            assert isinstance(scorer, ConditionalScorer)
            texts = scorer.write([utterances[member] for member in members], correction.beam, correction.texts)
            for member, some in zip(members, texts, strict=True):
                written[member] += some
    return [_joined(utterance, texts) for utterance, texts in zip(utterances, written, strict=True)]


def _joined(utterance: Utterance, texts: Sequence[str]) -> Utterance:
    """The utterance with further hypotheses; white space makes no new text, and what is left of older ones goes."""
    own = tuple(hypothesis for hypothesis in utterance.hypotheses if not hypothesis.corrected)
    there = {" ".join(hypothesis.text.split()) for hypothesis in own}
    new = [text for text in dict.fromkeys(" ".join(text.split()) for text in texts) if text not in there]
    return msgspec.structs.replace(
        utterance, hypotheses=(*own, *(Hypothesis(text=text, corrected=True) for text in new))
    )
